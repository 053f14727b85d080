import type { Presence, Reported, TrialPolicy } from '@vigie/protocol';

/** A release as the server lists it. */
export interface FleetRelease {
  name: string;
  version: string;
  digest: string;
  precision: string;
  bytes: number;
  state: string;
}

/** A device as the server knows it. */
export interface FleetDevice {
  id: string;
  hardwareClass: string;
  presence: Presence | null;
  desired: { generation: number; release: { name: string; version: string; digest: string } | null } | null;
  reported: Reported | null;
  /** The desired digest is active and has detected on frames. */
  inSync: boolean;
}

/** An event as the server stored it. */
export interface FleetEvent {
  id: string;
  type: string;
  trackId: number;
  /** RFC 3339, by the board's clock. */
  startedAt: string;
}

/** The server answered with an error; `status` and the problem document say which (RFC 9457). */
export class FleetRequestError extends Error {
  override readonly name = 'FleetRequestError';
  /** From the problem document, where the answer was one. */
  readonly code: string | null;
  readonly detail: string;

  /** `body`: of the answer. */
  constructor(
    readonly status: number,
    readonly request: string,
    body: string,
  ) {
    super(`${request} answered ${status}: ${body.slice(0, 500)}`);
    const { code = null, detail = body } = problemOf(body);
    this.code = code;
    this.detail = detail;
  }
}

function problemOf(body: string): { code?: string; detail?: string } {
  try {
    return JSON.parse(body) as { code?: string; detail?: string };
  } catch {
    return {};
  }
}

/** Client of the fleet server's REST API with a bearer token. `base` like `http://127.0.0.1:8080`. */
export class FleetClient {
  constructor(
    readonly base: string,
    readonly token: string,
  ) {}

  async #request<T>(method: string, path: string, body?: Uint8Array | object): Promise<T> {
    const raw = body instanceof Uint8Array;
    const response = await fetch(`${this.base}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { 'content-type': raw ? 'application/octet-stream' : 'application/json' }),
      },
      ...(body === undefined ? {} : { body: raw ? Buffer.from(body) : JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    if (!response.ok) throw new FleetRequestError(response.status, `${method} ${path}`, text);
    return JSON.parse(text) as T;
  }

  /** What `/api/v1` + path answers. Throws FleetRequestError. */
  get<T>(path: string): Promise<T> {
    return this.#request('GET', `/api/v1${path}`);
  }

  post<T>(path: string, body: object): Promise<T> {
    return this.#request('POST', `/api/v1${path}`, body);
  }

  put<T>(path: string, body: object): Promise<T> {
    return this.#request('PUT', `/api/v1${path}`, body);
  }

  /** What `/health` says. */
  health<T>(): Promise<T> {
    return this.#request('GET', '/health');
  }

  /** True once the server answers. */
  async healthy(): Promise<boolean> {
    try {
      return (await fetch(`${this.base}/health`, { signal: AbortSignal.timeout(5000) })).ok;
    } catch {
      return false;
    }
  }

  /** Uploads the bytes of a `.vigie` file. */
  publishRelease(archive: Uint8Array): Promise<FleetRelease> {
    return this.#request('POST', '/api/v1/releases', archive);
  }

  async releases(): Promise<FleetRelease[]> {
    return (await this.#request<{ items: FleetRelease[] }>('GET', '/api/v1/releases')).items;
  }

  /** A token for one board, or for so many. */
  async enrollmentToken(uses = 1): Promise<string> {
    return (await this.#request<{ token: string }>('POST', '/api/v1/enrollment-tokens', { uses })).token;
  }

  /** Wants `name` at `version` on one device; returns the new generation. */
  async assign(deviceId: string, name: string, version: string, retry = false): Promise<number> {
    const mine = (await this.assignAll([deviceId], name, version, { retry })).get(deviceId);
    if (mine === undefined) throw new Error(`the server assigned nothing to ${deviceId}`);
    return mine;
  }

  /** The same on many devices at once, with thresholds of the trial where the release's own do not fit; device → generation. */
  async assignAll(
    deviceIds: readonly string[],
    name: string,
    version: string,
    { retry = false, trial }: { retry?: boolean; trial?: Partial<TrialPolicy> } = {},
  ): Promise<Map<string, number>> {
    const { assignments } = await this.#request<{ assignments: { deviceId: string; generation: number }[] }>(
      'POST',
      '/api/v1/assignments',
      { devices: deviceIds, name, version, ...(retry ? { retry } : {}), ...(trial === undefined ? {} : { trial }) },
    );
    return new Map(assignments.map(({ deviceId, generation }) => [deviceId, generation]));
  }

  /** Every device of the fleet, page by page. */
  async devices(): Promise<FleetDevice[]> {
    const devices: FleetDevice[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: { items: FleetDevice[]; next: string | null } = await this.get(
        `/devices?limit=1000${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      devices.push(...page.items);
      cursor = page.next;
    }
    return devices;
  }

  device(deviceId: string): Promise<FleetDevice> {
    return this.#request('GET', `/api/v1/devices/${encodeURIComponent(deviceId)}`);
  }

  async events(deviceId: string, limit = 200): Promise<FleetEvent[]> {
    const path = `/api/v1/events?device=${encodeURIComponent(deviceId)}&limit=${limit}`;
    return (await this.#request<{ items: FleetEvent[] }>('GET', path)).items;
  }
}

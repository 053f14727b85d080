import {
  type MetadataSession,
  type MetadataSource,
  MetadataTooLargeError,
  MetadataUnavailableError,
  type TargetReference,
} from './metadata-source.js';

/** What a getter's error has as `code` when the body is larger than was asked for. */
const TOO_LARGE = 'ANSWER_TOO_LARGE';

/**
 * One GET that follows no redirect. Never reads more than `maxBytes` of the body: throws an error with `code`
 * ANSWER_TOO_LARGE. Any other rejection means that there was no answer. Who makes it decides on certificates, agents and
 * patience (`FleetHttps.request`).
 */
export type HttpsGet = (
  url: string,
  options: { maxBytes: number; signal: AbortSignal },
) => Promise<{ status: number; body: Buffer }>;

/**
 * TUF metadata from the fleet server (or a mirror) over HTTPS, under the names of consistent snapshots (TUF specification
 * 1.0.31, 6.2): `{base}/tuf/3.root.json`, `{base}/tuf/timestamp.json`; targets are objects named by their hash,
 * `{base}/api/v1/objects/{sha256}`, whole.
 */
export class HttpsMetadataSource implements MetadataSource {
  readonly name = 'https';
  private readonly base: string;

  constructor(
    base: string,
    private readonly get: HttpsGet,
  ) {
    this.base = base.replace(/\/+$/, '');
  }

  async open(signal: AbortSignal): Promise<MetadataSession> {
    return {
      metadata: (role, version, maxBytes) => this.metadata(role, version, maxBytes, signal),
      target: (reference) => this.target(reference, signal),
    };
  }

  private async metadata(
    role: string,
    version: number | null,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Buffer | null> {
    // A role's name may hold anything: quoted, it is one path segment.
    const name = `${version === null ? '' : `${version}.`}${encodeURIComponent(role)}.json`;
    return this.fetch(`${this.base}/tuf/${name}`, maxBytes, signal);
  }

  private async target({ sha256, length }: TargetReference, signal: AbortSignal): Promise<Buffer> {
    const url = `${this.base}/api/v1/objects/${sha256}`;
    const bytes = await this.fetch(url, length, signal);
    if (bytes === null) throw new MetadataUnavailableError(`${url}: status 404`);
    return bytes;
  }

  private async fetch(url: string, maxBytes: number, signal: AbortSignal): Promise<Buffer | null> {
    let answer: Awaited<ReturnType<HttpsGet>>;
    try {
      answer = await this.get(url, { maxBytes, signal });
    } catch (error) {
      signal.throwIfAborted();
      const { message, code } = error as NodeJS.ErrnoException;
      if (code === TOO_LARGE) throw new MetadataTooLargeError(message, { cause: error });
      throw new MetadataUnavailableError(`${url}: ${message}`, { cause: error });
    }
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw new MetadataUnavailableError(`${url}: status ${answer.status}`);
    return answer.body;
  }
}

import { createPublicKey } from 'node:crypto';
import {
  type Desired,
  decodeMessage,
  deviceTopic,
  type EnrollResponse,
  encodeMessage,
  type InstallErrorCode,
  openEnvelope,
  PAYLOAD_TYPE,
  type ReleaseReference,
  type Reported,
  type Telemetry,
} from '@vigie/protocol';
import { type Api, Listener, newBoot, report } from './server-fixture.js';

/** How a board takes a release, by its version; `good` by default. */
export type Behaviour =
  | { kind: 'good' }
  | { kind: 'fails'; code: InstallErrorCode }
  | { kind: 'later'; code: InstallErrorCode }
  | { kind: 'stuck' }
  | { kind: 'silent' };

/** A board at the protocol's level: a certificate, a connection, its word on every desired state. Runs no model. */
export class TestBoard {
  /** Every desired state it was told, by generation: two different ones at one generation would stand here. */
  readonly told = new Map<number, Set<string>>();
  readonly behaviours = new Map<string, Behaviour>();
  active: ReleaseReference | null = null;
  #listener: Listener | null = null;
  #boot = newBoot();
  #sequence = 0;
  #newest = 0;
  #fresh = true;

  private constructor(readonly enrolled: EnrollResponse) {}

  static async enroll(api: Api, id: string): Promise<TestBoard> {
    return new TestBoard(await api.enroll(id));
  }

  get id(): string {
    return this.enrolled.deviceId;
  }

  get generation(): number {
    return this.#newest;
  }

  /** Comes up (again): a new start of the agent. `url`: where the broker is now. */
  async connect(url = this.enrolled.mqtt.url): Promise<void> {
    this.#boot = newBoot();
    this.#sequence = 0;
    this.#fresh = true;
    const will = { topic: this.#topic('presence'), ...presence(this.#boot, false) };
    this.#listener = await Listener.device(
      { ...this.enrolled, mqtt: { url } },
      { will: { ...will, qos: 1, retain: true } },
    );
    const { client } = this.#listener;
    client.on('message', (topic, payload) => {
      if (topic === this.#topic('desired')) void this.#take(payload);
    });
    await client.publishAsync(this.#topic('presence'), presence(this.#boot, true).payload, { qos: 1, retain: true });
    await client.subscribeAsync(this.#topic('desired'), { qos: 1 });
    if (this.active !== null) await this.say({ phase: 'COMMITTED', active: this.#running(this.active) });
  }

  /** The connection breaks; the broker sends the will. */
  async drop(): Promise<void> {
    const listener = this.#listener;
    this.#listener = null;
    if (listener === null) return;
    listener.client.stream.destroy();
    await listener.end().catch(() => undefined);
  }

  async end(): Promise<void> {
    await this.#listener?.end().catch(() => undefined);
    this.#listener = null;
  }

  async say(changes: Partial<Reported>): Promise<void> {
    this.#sequence += 1;
    const message = report(this.#boot, this.#sequence, { generation: this.#newest, ...changes });
    await this.#listener?.client
      .publishAsync(this.#topic('reported'), encodeMessage('reported', message), { qos: 1, retain: true })
      .catch(() => undefined);
  }

  /** Figures of one window, with the model that it runs. */
  async measure(changes: Partial<Telemetry> = {}): Promise<void> {
    this.#sequence += 1;
    const message: Telemetry = {
      ...{ bootId: this.#boot, sequence: this.#sequence, at: new Date().toISOString(), windowSeconds: 10, fps: 10 },
      latencyMs: { total: { p50: 40, p95: 60, p99: 80 } },
      ...{ drops: {}, cpu: 0.5, memoryBytes: 1e8, temperatureC: 50, throttled: false, inferenceRestarts: 0 },
      ...{ scoreHistogram: [0, 0, 0, 0, 0, 0, 0, 0, 0, 9], boxAreaHistogram: [9, 0, 0, 0, 0, 0, 0, 0, 0, 0] },
      modelDigest: this.active?.digest ?? null,
      ...changes,
    };
    // Telemetry itself goes with QoS 0; here the test waits until the broker has it.
    const topic = deviceTopic(this.id, 'telemetry');
    await this.#listener?.client.publishAsync(topic, encodeMessage('telemetry', message), { qos: 1 });
  }

  async #take(bytes: Buffer): Promise<void> {
    const envelope = decodeMessage('desired', bytes);
    if (!envelope.ok) throw new Error(envelope.detail);
    const keys = this.enrolled.serverKeys.map((pem) => createPublicKey(pem));
    const opened = openEnvelope(envelope.message, PAYLOAD_TYPE.desired, keys);
    if (!opened.ok) throw new Error(opened.code);
    const desired = JSON.parse(opened.payload.toString()) as Desired;
    const all = this.told.get(desired.generation) ?? new Set();
    this.told.set(desired.generation, all.add(opened.payload.toString()));
    // After a start it answers once more what it may not have been able to say before.
    if (desired.generation < this.#newest || (desired.generation === this.#newest && !this.#fresh)) return;
    this.#fresh = false;
    this.#newest = desired.generation;
    await this.#answer(desired);
  }

  async #answer({ release }: Desired): Promise<void> {
    const running = this.active === null ? null : this.#running(this.active);
    if (release === null) return this.say({ phase: 'IDLE', active: running });
    if (release.digest === this.active?.digest) return this.say({ phase: 'COMMITTED', active: running });
    const behaviour = this.behaviours.get(release.version) ?? { kind: 'good' };
    if (behaviour.kind === 'silent') return;
    await this.say({ phase: 'DOWNLOADING', active: running, candidate: release });
    if (behaviour.kind === 'stuck') return;
    if (behaviour.kind === 'good') {
      this.active = release;
      return this.say({ phase: 'COMMITTED', active: this.#running(release) });
    }
    const error = { code: behaviour.code, message: `${behaviour.code} on ${this.id}` };
    if (behaviour.kind === 'fails') return this.say({ phase: 'ROLLED_BACK', active: running, error });
    const retry = { attempt: 1, at: new Date(Date.now() + 60_000).toISOString() };
    return this.say({ phase: 'INCONCLUSIVE', active: running, error, retry });
  }

  #running(release: ReleaseReference): NonNullable<Reported['active']> {
    return { release, framesRun: 25, since: new Date().toISOString() };
  }

  #topic(kind: 'desired' | 'reported' | 'presence'): string {
    return deviceTopic(this.id, kind);
  }
}

function presence(bootId: string, online: boolean): { payload: Buffer } {
  return { payload: encodeMessage('presence', { bootId, online }) };
}

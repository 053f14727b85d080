import { decodeMessage, type Envelope } from '@vigie/protocol';
import { AGENT_BUILT_AT } from '../build-time.js';
import type { Clock, Link } from '../ports.js';
import type { Log } from '../update/ports.js';
import { type ServerKeyring, signerUnknown } from '../update/server-keyring.js';
import { type BelievedTime, TrustedTime } from '../update/trusted-time.js';
import type { FileSystem } from './file-system.js';
import { type HttpsGet, HttpsMetadataSource } from './https-metadata.js';
import { type Identity, tufDirectory } from './identity.js';
import type { MetadataSource } from './metadata-source.js';
import { MqttMetadataSource } from './mqtt-metadata.js';
import { TimeFloorFile } from './time-floor-file.js';
import { timesyncSynchronised } from './timesync-status.js';
import { TufClient } from './tuf-client.js';
import { TufWatch } from './tuf-watch.js';

/** An unknown signer makes the board look for new metadata, but no more often than this, ms. */
const UNKNOWN_SIGNER_EVERY_MS = 30_000;
/** The floor of time is written again once it has grown by this much without new proof, ms. */
const FLOOR_EVERY_MS = 3_600_000;
/** Patience per message: 128 KiB on a line of 256 kbit/s that others use too. ms. */
const MESSAGE_TIMEOUT_MS = 15_000;

export interface FleetTrustOptions {
  link: Link;
  identity: Pick<Identity, 'tufRoot' | 'serverKeys'>;
  dataDirectory: string;
  hardwareClass: string;
  clock: Clock;
  /** 0 (inclusive) to 1 (exclusive). */
  random(): number;
  log: Log;
  /** The machine's disk when absent. */
  files?: FileSystem;
  /** The second source of metadata; absent: topics only. `first`: asked before the topics. */
  https?: { url: string; get: HttpsGet; first?: boolean };
  /** For tests. */
  timing?: { messageMs?: number; unknownSignerMs?: number; spreadMs?: number; everyMs?: number };
  synchronised?(): boolean | null;
}

/** Whom a board believes, and what time it is: TUF metadata, the server's keys, proven time. */
export class FleetTrust {
  readonly releases: TufClient;
  private readonly watch: TufWatch;
  private readonly floorFile: TimeFloorFile;
  private time: TrustedTime;
  /** Nothing is written over what an earlier run proved before that was read. */
  private savedFloor = Number.POSITIVE_INFINITY;
  private lookedAt = Number.NEGATIVE_INFINITY;
  private looking: Promise<void> | null = null;
  /** The newest message of each kind whose signer nobody knew. */
  private readonly waiting = new Map<string, { envelope: Envelope; take(): void }>();
  private readonly closed = new AbortController();

  constructor(private readonly options: FleetTrustOptions) {
    const { link, identity, dataDirectory, hardwareClass, clock, random, log, timing = {} } = options;
    this.floorFile = new TimeFloorFile(dataDirectory, options.files);
    this.time = this.timeFrom([]);
    const sources = this.sources();
    this.releases = new TufClient({
      sources: () => sources,
      directory: tufDirectory(dataDirectory),
      enrolledRoot: identity.tufRoot,
      enrolledKeys: identity.serverKeys,
      hardwareClass,
      now: () => this.now().ms,
      onProven: (ms) => this.prove(ms),
      log,
      files: options.files,
    });
    this.releases.onRefresh(() => this.judgeAgain());
    this.watch = new TufWatch({
      ...{ link, clock, random, log, timing },
      refresh: (signal) => this.releases.refresh(signal),
    });
  }

  get keyring(): ServerKeyring {
    return this.releases.keyring;
  }

  /** Takes up what earlier runs proved. Nothing may be believed before. */
  async open(): Promise<void> {
    this.savedFloor = await this.floorFile.load();
    this.time = this.timeFrom([this.savedFloor]);
    await this.releases.open();
  }

  /** Looks at new metadata from now on. */
  async start(): Promise<void> {
    await this.watch.start();
  }

  now(): BelievedTime {
    if (this.time.floor > this.savedFloor + FLOOR_EVERY_MS) this.saveFloor();
    return this.time.believed();
  }

  /** Takes a moment (ms since 1970) out of something whose signature was checked. */
  prove(ms: number): void {
    if (this.time.prove(ms) && Number.isFinite(this.savedFloor)) this.saveFloor();
  }

  /**
   * Calls `take` to judge a message: at once when its signer is known, else after a look at newer metadata, and once more
   * when a later update knows the signer after all. Brokers send a retained message only once.
   */
  judge(kind: 'desired' | 'commands', bytes: Uint8Array, take: () => void): void {
    const decoded = decodeMessage(kind, bytes);
    if (!decoded.ok || !signerUnknown(decoded.message, this.keyring)) {
      this.waiting.delete(kind);
      take();
      return;
    }
    const message = { envelope: decoded.message, take };
    this.waiting.set(kind, message);
    void this.look(kind).then(() => {
      if (this.waiting.get(kind) === message) take();
    });
  }

  /** Judges again what was signed by a key that is known now. */
  private judgeAgain(): void {
    for (const [kind, { envelope, take }] of this.waiting) {
      if (signerUnknown(envelope, this.keyring)) continue;
      this.waiting.delete(kind);
      take();
    }
  }

  /** Looks for newer metadata, unless that was done a moment ago. Never rejects. */
  private async look(kind: string): Promise<void> {
    const { clock, log, timing } = this.options;
    if (this.looking === null) {
      if (clock.now() < this.lookedAt + (timing?.unknownSignerMs ?? UNKNOWN_SIGNER_EVERY_MS)) return;
      this.lookedAt = clock.now();
      log.info({ kind }, 'signed by an unknown key: looking for newer metadata');
      this.looking = this.releases
        .refresh(this.closed.signal)
        .catch(() => {})
        .finally(() => {
          this.looking = null;
        });
    }
    await this.looking;
  }

  async close(): Promise<void> {
    this.closed.abort();
    await this.watch.stop();
    await this.looking;
  }

  private timeFrom(proven: readonly number[]): TrustedTime {
    const { clock, synchronised } = this.options;
    return new TrustedTime(
      {
        now: () => clock.now(),
        wall: () => clock.wall(),
        synchronised: synchronised ?? (() => timesyncSynchronised()),
      },
      [Date.parse(AGENT_BUILT_AT), ...proven],
    );
  }

  private saveFloor(): void {
    this.savedFloor = this.time.floor;
    this.floorFile.save(this.savedFloor).catch((error: Error) => {
      this.options.log.warn({ err: error.message }, 'the floor of time was not saved');
    });
  }

  private sources(): readonly MetadataSource[] {
    const { link, https, timing } = this.options;
    const topics = new MqttMetadataSource(link, timing?.messageMs ?? MESSAGE_TIMEOUT_MS);
    if (https === undefined) return [topics];
    const server = new HttpsMetadataSource(https.url, https.get);
    return https.first === true ? [server, topics] : [topics, server];
  }
}

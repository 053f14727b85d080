import { join } from 'node:path';
import {
  type Command,
  DELIVERY,
  decodeMessage,
  deviceTopic,
  type MessageOf,
  type Reported,
  snapshotTopic,
  type Telemetry,
} from '@vigie/protocol';
import type { Clock } from '../ports.js';
import type { BenchmarkAnswer, BenchmarkOrder } from '../update/benchmark-mode.js';
import { CommandGate } from '../update/commands.js';
import type { Log, ReleaseSource } from '../update/ports.js';
import { ReportCadence } from '../update/report-cadence.js';
import type { ServerKeyring } from '../update/server-keyring.js';
import type { UpdateStatus } from '../update/status.js';
import type { BelievedTime } from '../update/trusted-time.js';
import { CertificateRenewal } from './certificate-renewal.js';
import type { FileSystem } from './file-system.js';
import { FleetHttps } from './fleet-https.js';
import { FleetTrust, type FleetTrustOptions } from './fleet-trust.js';
import { CurrentIdentity, type Identity } from './identity.js';
import { MqttLink } from './mqtt-link.js';
import { Outbox, type OutboxKind } from './outbox.js';
import type { TufClient } from './tuf-client.js';

/** How long to wait for a disk that failed at the start, ms. */
const DISK_RETRY_MS = 5000;

export interface FleetConnectionOptions {
  identity: Identity;
  bootId: string;
  dataDirectory: string;
  clock: Clock;
  log: Log;
  /** The machine's disk when absent. */
  files?: FileSystem;
  agentVersion: string;
  hardwareClass: string;
  /** The newest picture as JPEG; null when there is none. */
  takeSnapshot?(): Promise<Uint8Array | null>;
  /** The newest lines of the log, oldest first. */
  readLog?(lines: number): string[];
  /** Lets a light blink; its name, null when there is none. */
  blink?(): Promise<string | null>;
  messageTimeoutMs?: number;
  resendMs?: number;
  /** How long to wait for a disk that failed at the start, ms. */
  diskRetryMs?: number;
  /** For tests. */
  trust?: Pick<FleetTrustOptions, 'timing' | 'synchronised'>;
}

/** What the fleet's messages are handed to. */
export interface FleetListener {
  desired(bytes: Uint8Array): void;
  connected(): void;
  status(): UpdateStatus;
  /** Measures a release; absent: this board cannot. */
  benchmark?(order: BenchmarkOrder): Promise<BenchmarkAnswer>;
  /** Newest signed time known, ms since 1970. */
  readonly newestIssuedAt: number;
}

/** Everything a board says to its fleet and hears from it: one link, one outbox, one sequence counter. */
export class FleetConnection {
  readonly link: MqttLink;
  /** The fleet server by mutual TLS. */
  readonly https: FleetHttps;
  readonly outbox: Outbox;
  readonly releases: ReleaseSource & Pick<TufClient, 'describeUncertified'>;
  readonly trustedKeys: ServerKeyring;
  readonly deviceId: string;
  private readonly commands: CommandGate;
  private readonly renewal: CertificateRenewal;
  private readonly trust: FleetTrust;
  private listener: FleetListener | null = null;
  private sequence = 0;
  private telemetrySequence = 0;
  private newestReport = 0;
  private readonly cadence = new ReportCadence();
  private closed = false;
  private cancelTimer = () => {};
  private cancelStart = () => {};

  constructor(private readonly options: FleetConnectionOptions) {
    const { identity, bootId, clock, log, dataDirectory } = options;
    this.deviceId = identity.deviceId;
    const current = new CurrentIdentity(identity, dataDirectory);
    const credentials = () => current.value;
    const { deviceId, mqtt } = identity;
    this.link = new MqttLink({ url: mqtt.url, credentials, deviceId, bootId, clock, log });
    this.https = new FleetHttps({ baseUrl: identity.https.url, credentials });
    this.outbox = new Outbox({
      directory: join(dataDirectory, 'outbox'),
      bootId,
      clock,
      log,
      files: options.files,
      resendMs: options.resendMs,
      connected: () => this.link.connected,
      send: (kind, message) => this.send(kind, message),
    });
    this.trust = new FleetTrust({
      ...{ link: this.link, identity, dataDirectory, clock, log },
      https: { url: identity.https.url, get: (url, request) => this.https.request(url, request) },
      hardwareClass: options.hardwareClass,
      random: Math.random,
      files: options.files,
      ...options.trust,
      timing: { messageMs: options.messageTimeoutMs, ...options.trust?.timing },
    });
    this.releases = this.trust.releases;
    this.trustedKeys = this.trust.keyring;
    this.commands = new CommandGate(identity.deviceId, this.trustedKeys);
    this.renewal = new CertificateRenewal({ current, https: this.https, clock, now: () => this.trustedNow().ms, log });
  }

  /**
   * Connects, and hears from then on. A disk that fails does not end the start, for the board must see: then it connects
   * later, when the disk is back.
   */
  async start(listener: FleetListener): Promise<void> {
    this.listener = listener;
    try {
      await this.outbox.open();
      await this.trust.open();
      await this.connect(listener);
    } catch (error) {
      const { log, clock, diskRetryMs: waitMs = DISK_RETRY_MS } = this.options;
      log.error({ err: (error as Error).message, waitMs }, 'no connection without a disk; tried again');
      this.cancelStart = clock.after(waitMs, () => void this.start(listener));
    }
  }

  private async connect(listener: FleetListener): Promise<void> {
    const { deviceId, link } = this;
    await link.subscribe(deviceTopic(deviceId, 'desired'), (bytes) => {
      this.trust.judge('desired', bytes, () => listener.desired(bytes));
    });
    await link.subscribe(deviceTopic(deviceId, 'commands'), (bytes) => {
      this.trust.judge('commands', bytes, () => this.command(bytes));
    });
    await this.trust.start();
    await link.subscribe(deviceTopic(deviceId, 'acks'), (bytes) => {
      const ack = decodeMessage('acks', bytes);
      if (ack.ok) this.outbox.acknowledge(ack.message);
      else this.options.log.warn({ code: ack.code, detail: ack.detail }, 'acknowledgement ignored');
    });
    link.onConnect(() => {
      this.outbox.reconnected();
      this.report(listener.status(), false);
      listener.connected();
    });
    link.start();
    this.renewal.start();
    this.arm();
  }

  /** `terminal`: the end of an install, or a refusal; kept until the server has it. */
  report(status: UpdateStatus, terminal: boolean): void {
    this.sequence += 1;
    this.newestReport = this.sequence;
    const message = this.reported(status, this.sequence);
    // The wait for the next one begins anew: soon if this one says something new, else seldom.
    this.cadence.note(message, this.options.clock.now());
    this.arm();
    if (terminal) this.outbox.put('reported', message);
    else this.link.publish('reported', deviceTopic(this.deviceId, 'reported'), message).catch(() => {});
  }

  put<K extends Exclude<OutboxKind, 'reported'>>(kind: K, draft: Omit<MessageOf<K>, 'bootId' | 'sequence'>): void {
    this.sequence += 1;
    this.outbox.put(kind, {
      ...draft,
      bootId: this.options.bootId,
      sequence: this.sequence,
    } as unknown as MessageOf<K>);
  }

  telemetry(draft: Omit<Telemetry, 'bootId' | 'sequence'>): void {
    if (!this.link.connected) return;
    this.telemetrySequence += 1;
    const message = { ...draft, bootId: this.options.bootId, sequence: this.telemetrySequence };
    this.link.publish('telemetry', deviceTopic(this.deviceId, 'telemetry'), message).catch((error: Error) => {
      this.options.log.warn({ err: error.message }, 'telemetry not sent');
    });
  }

  async snapshot(eventId: string, jpeg: Uint8Array): Promise<boolean> {
    return this.link.publishBytes(snapshotTopic(this.deviceId, eventId), jpeg, DELIVERY.snapshots).then(
      () => true,
      (error: Error) => {
        this.options.log.warn({ err: error.message, eventId }, 'snapshot not sent');
        return false;
      },
    );
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancelTimer();
    this.cancelStart();
    await this.trust.close();
    await this.outbox.settled();
    await this.link.stop();
    await this.renewal.stop();
    this.https.close();
    await this.outbox.close();
  }

  /** What an accepted desired state proves counts before anything is judged by the time. */
  trustedNow(): BelievedTime {
    this.trust.prove(this.listener?.newestIssuedAt ?? 0);
    return this.trust.now();
  }

  private arm(): void {
    this.cancelTimer();
    if (this.closed) return;
    const { clock } = this.options;
    this.cancelTimer = clock.after(this.cadence.waitMs(clock.now()), () => {
      if (this.listener !== null && this.link.connected) this.report(this.listener.status(), false);
      else this.arm();
    });
  }

  private async send<K extends OutboxKind>(kind: K, message: MessageOf<K>): Promise<void> {
    await this.link.publish(kind, deviceTopic(this.deviceId, kind), message);
    // The topic is retained: what was sent late must not stay there in place of the present state.
    if (kind === 'reported' && message.sequence < this.newestReport && this.listener !== null) {
      this.report(this.listener.status(), false);
    }
  }

  private reported(status: UpdateStatus, sequence: number): Reported {
    const { bootId, agentVersion, hardwareClass } = this.options;
    const time = this.trustedNow();
    const { generation, phase, error, active, candidate, swap, progress, delivery } = status;
    const { plan, agreement, retry, configuration } = status;
    return {
      bootId,
      sequence,
      at: new Date(time.ms).toISOString(),
      generation,
      phase,
      active,
      candidate,
      error: error === null ? null : { code: error.code, message: error.message.slice(0, 500) },
      ...(swap === null ? {} : { swap }),
      ...(plan === undefined ? {} : { plan }),
      ...(agreement === undefined ? {} : { agreement }),
      ...(retry === undefined ? {} : { retry }),
      ...(configuration === undefined ? {} : { configuration }),
      ...(progress === null ? {} : { progress }),
      ...(time.trusted ? {} : { timeTrusted: false }),
      ...(delivery === undefined ? {} : { delivery }),
      agentVersion,
      hardwareClass,
    };
  }

  private command(bytes: Uint8Array): void {
    const opened = this.commands.open(bytes, this.trustedNow().ms);
    if (!opened.ok) {
      // The server repeats what is not answered yet.
      if (opened.reason !== 'SEEN') this.options.log.warn({ reason: opened.reason }, 'command ignored');
      return;
    }
    const { command } = opened;
    this.trust.prove(Date.parse(command.issuedAt));
    this.perform(command)
      .catch((error: Error) => ({ ok: false, code: 'FAILED', result: error.message.slice(0, 200) }))
      .then((answer) => {
        const at = new Date(this.trust.now().ms).toISOString();
        this.put('replies', { at, commandId: command.id, ...answer });
      });
  }

  private async perform({ id, command }: Command): Promise<{ ok: boolean; code?: string; result?: unknown }> {
    if (command.kind === 'identify') {
      const { agentVersion, hardwareClass } = this.options;
      this.options.log.warn({ deviceId: this.deviceId }, 'identify: somebody is looking for this board');
      const light = (await this.options.blink?.().catch(() => null)) ?? null;
      return { ok: true, result: { deviceId: this.deviceId, agentVersion, hardwareClass, light } };
    }
    if (command.kind === 'logs') {
      const { readLog } = this.options;
      return readLog === undefined
        ? { ok: false, code: 'NO_LOG' }
        : { ok: true, result: { lines: readLog(command.lines) } };
    }
    if (command.kind === 'benchmark')
      return (await this.listener?.benchmark?.(command)) ?? { ok: false, code: 'NOT_SUPPORTED' };
    if (command.kind !== 'snapshot') return { ok: false, code: 'NOT_SUPPORTED' };
    const jpeg = (await this.options.takeSnapshot?.()) ?? null;
    if (jpeg === null) return { ok: false, code: 'NO_PICTURE' };
    return (await this.snapshot(id, jpeg)) ? { ok: true, result: { snapshot: id } } : { ok: false, code: 'NOT_SENT' };
  }
}

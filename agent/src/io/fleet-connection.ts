import type { KeyObject } from 'node:crypto';
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
import { CommandGate } from '../update/commands.js';
import type { Log, ReleaseSource } from '../update/ports.js';
import type { UpdateStatus } from '../update/status.js';
import { CertificateRenewal } from './certificate-renewal.js';
import { FleetHttps } from './fleet-https.js';
import { CurrentIdentity, type Identity, trustedKeysOf, tufDirectory } from './identity.js';
import { MqttLink } from './mqtt-link.js';
import { Outbox, type OutboxKind } from './outbox.js';
import { TufClient } from './tuf-client.js';

/** How often an unchanged report is published again, ms. */
const REPORT_EVERY_MS = 10_000;

export interface FleetConnectionOptions {
  identity: Identity;
  bootId: string;
  dataDirectory: string;
  clock: Clock;
  log: Log;
  agentVersion: string;
  hardwareClass: string;
  /** The newest picture as JPEG; null when there is none. */
  takeSnapshot?(): Promise<Uint8Array | null>;
  messageTimeoutMs?: number;
  resendMs?: number;
}

/** What the fleet's messages are handed to. */
export interface FleetListener {
  desired(bytes: Uint8Array): void;
  connected(): void;
  status(): UpdateStatus;
  /** Newest signed time known, ms since 1970. */
  readonly newestIssuedAt: number;
}

/** Everything a board says to its fleet and hears from it: one link, one outbox, one sequence counter. */
export class FleetConnection {
  readonly link: MqttLink;
  /** The fleet server by mutual TLS. */
  readonly https: FleetHttps;
  readonly outbox: Outbox;
  readonly releases: ReleaseSource;
  readonly trustedKeys: readonly KeyObject[];
  readonly deviceId: string;
  private readonly commands: CommandGate;
  private readonly renewal: CertificateRenewal;
  private listener: FleetListener | null = null;
  private sequence = 0;
  private telemetrySequence = 0;
  private newestReport = 0;
  private cancelTimer = () => {};

  constructor(private readonly options: FleetConnectionOptions) {
    const { identity, bootId, clock, log, dataDirectory } = options;
    this.deviceId = identity.deviceId;
    this.trustedKeys = trustedKeysOf(identity);
    this.commands = new CommandGate(identity.deviceId, this.trustedKeys);
    const current = new CurrentIdentity(identity, dataDirectory);
    const credentials = () => current.value;
    this.link = new MqttLink({ url: identity.mqtt.url, credentials, deviceId: identity.deviceId, bootId, log });
    this.https = new FleetHttps({ baseUrl: identity.https.url, credentials });
    this.renewal = new CertificateRenewal({ current, https: this.https, clock, now: () => this.trustedNow(), log });
    this.outbox = new Outbox({
      directory: join(dataDirectory, 'outbox'),
      bootId,
      clock,
      log,
      resendMs: options.resendMs,
      connected: () => this.link.connected,
      send: (kind, message) => this.send(kind, message),
    });
    this.releases = new TufClient({
      link: this.link,
      directory: tufDirectory(dataDirectory),
      enrolledRoot: identity.tufRoot,
      now: () => this.trustedNow(),
      log,
      timeoutMs: options.messageTimeoutMs,
    });
  }

  /** Connects, and hears from then on. */
  async start(listener: FleetListener): Promise<void> {
    this.listener = listener;
    const { deviceId, link } = this;
    await link.subscribe(deviceTopic(deviceId, 'desired'), (bytes) => listener.desired(bytes));
    await link.subscribe(deviceTopic(deviceId, 'commands'), (bytes) => this.command(bytes));
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
    this.cancelTimer();
    await this.outbox.settled();
    await this.link.stop();
    await this.renewal.stop();
    this.https.close();
    await this.outbox.close();
  }

  /** A board without a clock of its own believes the newest moment that was signed; ms since 1970. */
  trustedNow(): number {
    return Math.max(this.options.clock.wall(), this.listener?.newestIssuedAt ?? 0);
  }

  private arm(): void {
    this.cancelTimer = this.options.clock.after(REPORT_EVERY_MS, () => {
      if (this.listener !== null && this.link.connected) this.report(this.listener.status(), false);
      this.arm();
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
    const { bootId, clock, agentVersion, hardwareClass } = this.options;
    const { generation, phase, error, active, candidate, swap, progress, delivery } = status;
    return {
      bootId,
      sequence,
      at: new Date(clock.wall()).toISOString(),
      generation,
      phase,
      active,
      candidate,
      error: error === null ? null : { code: error.code, message: error.message.slice(0, 500) },
      ...(swap === null ? {} : { swap }),
      ...(progress === null ? {} : { progress }),
      ...(delivery === undefined ? {} : { delivery }),
      agentVersion,
      hardwareClass,
    };
  }

  private command(bytes: Uint8Array): void {
    const opened = this.commands.open(bytes, this.trustedNow());
    if (!opened.ok) {
      this.options.log.warn({ reason: opened.reason }, 'command ignored');
      return;
    }
    const { command } = opened;
    this.perform(command)
      .catch((error: Error) => ({ ok: false, code: 'FAILED', result: error.message.slice(0, 200) }))
      .then((answer) => {
        const at = new Date(this.options.clock.wall()).toISOString();
        this.put('replies', { at, commandId: command.id, ...answer });
      });
  }

  private async perform({ id, command }: Command): Promise<{ ok: boolean; code?: string; result?: unknown }> {
    if (command.kind === 'identify') {
      const { agentVersion, hardwareClass } = this.options;
      this.options.log.warn({ deviceId: this.deviceId }, 'identify: somebody is looking for this board');
      return { ok: true, result: { deviceId: this.deviceId, agentVersion, hardwareClass } };
    }
    const jpeg = (await this.options.takeSnapshot?.()) ?? null;
    if (jpeg === null) return { ok: false, code: 'NO_PICTURE' };
    return (await this.snapshot(id, jpeg)) ? { ok: true, result: { snapshot: id } } : { ok: false, code: 'NOT_SENT' };
  }
}

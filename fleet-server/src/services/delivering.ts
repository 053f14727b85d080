import type { Logger } from 'pino';
import { type Backoff, fullJitter } from '../alerts/backoff.js';
import type { ActivityRepository } from '../io/database/activity-repository.js';
import type { ChannelRepository, ChannelRow } from '../io/database/channel-repository.js';
import type { DeliveryRepository, DeliveryRow } from '../io/database/delivery-repository.js';
import type { Now } from '../ports.js';
import type { ChannelSecrets, ChannelSettings, OutgoingDelivery, SendFault, SendResult } from './channel.js';

const BACKOFF: Backoff = { baseMs: 10_000, capMs: 3_600_000 };
/** Deliveries of one channel in one round. */
const ROUND = 200;
/** Refusals of one channel in one round: a receiver that refuses everything is not called once for each. */
const REFUSALS = 3;
const HOUR_MS = 3_600_000;

/** The other side was not there: the next delivery would not find it either. */
const ABSENT: ReadonlySet<SendFault> = new Set([
  'TARGET_FORBIDDEN',
  'TARGET_UNRESOLVED',
  'TARGET_UNREACHABLE',
  'TARGET_UNTRUSTED',
  'TARGET_TIMEOUT',
  'SMTP_NOT_CONFIGURED',
  'SECRET_UNREADABLE',
]);
/** RFC 9110, 15.5.11: the receiver says that it is gone for good. */
const GONE = 410;

export interface DeliveringParts {
  channels: ChannelRepository;
  deliveries: DeliveryRepository;
  activity: ActivityRepository;
  /** Secrets of a channel in clear. Throws when they do not open. */
  secretsOf: (channel: ChannelRow) => ChannelSecrets;
  send: (
    channel: string,
    settings: ChannelSettings,
    secrets: ChannelSecrets,
    delivery: OutgoingDelivery,
  ) => Promise<SendResult>;
  now: Now;
  /** 0..1. */
  random: () => number;
  log: Logger;
  timeoutMs: number;
  giveUpHours: number;
  disableAfterHours: number;
}

/** Carries deliveries to their channels, at least once each: an attempt that is cut off is made again. */
export class DeliveringService {
  #stopping = false;

  constructor(private readonly parts: DeliveringParts) {}

  /** One round: every channel by itself, so that a slow one holds up nobody else. */
  async run(): Promise<void> {
    const { deliveries, now, giveUpHours } = this.parts;
    await deliveries.giveUpBefore(new Date(now().getTime() - giveUpHours * HOUR_MS), now());
    const due = await deliveries.dueChannels(now());
    await Promise.all(due.map((channel) => this.#drain(channel)));
  }

  stop(): void {
    this.#stopping = true;
  }

  async #drain(name: string): Promise<void> {
    const { channels, deliveries, now, timeoutMs } = this.parts;
    const channel = await channels.find(name);
    if (channel === null) return;
    let refusals = 0;
    for (let count = 0; count < ROUND && refusals < REFUSALS && !this.#stopping; count += 1) {
      // Longer than an attempt can take: whoever claims it then finds this process dead.
      const delivery = await deliveries.claim(name, now(), new Date(now().getTime() + 3 * timeoutMs + 30_000));
      if (delivery === null) return;
      const result = await this.#attempt(channel, delivery);
      if (result.ok) continue;
      if (ABSENT.has(result.code)) return;
      refusals += 1;
    }
  }

  async #attempt(channel: ChannelRow, delivery: DeliveryRow): Promise<SendResult> {
    const { channels, deliveries, now, random, log, giveUpHours } = this.parts;
    const began = performance.now();
    const result = await this.#send(channel, delivery);
    const attempt = {
      ...{ at: now().toISOString(), status: result.status, latencyMs: Math.round(performance.now() - began) },
      error: result.ok ? null : `${result.code}: ${result.error}`,
    };
    if (result.ok) {
      await deliveries.settle(delivery.id, attempt, 'delivered', now(), null);
      await channels.succeeded(channel.name);
      return result;
    }
    const waitMs = fullJitter(BACKOFF, delivery.attempts, random());
    const next = new Date(now().getTime() + waitMs);
    const late = next.getTime() - delivery.createdAt.getTime() > giveUpHours * HOUR_MS;
    await deliveries.settle(delivery.id, attempt, late ? 'failed' : 'pending', now(), late ? null : next);
    if (ABSENT.has(result.code)) await deliveries.holdBack(channel.name, next);
    log.warn({ channel: channel.name, delivery: delivery.id, attempts: delivery.attempts, late }, attempt.error ?? '');
    await this.#countFailure(channel.name, result);
    return result;
  }

  async #countFailure(name: string, result: SendResult & { ok: false }): Promise<void> {
    const { channels, activity, now, disableAfterHours, log } = this.parts;
    const before = result.status === GONE ? 'now' : new Date(now().getTime() - disableAfterHours * HOUR_MS);
    const reason = `${result.code}: ${result.error}`;
    if (!(await channels.failed(name, reason, now(), before))) return;
    log.error({ channel: name }, `a channel was switched off: ${reason}`);
    await activity.add([
      { at: now(), kind: 'channel.disabled', subject: name, actor: 'system', body: { reason, code: result.code } },
    ]);
  }

  async #send(channel: ChannelRow, delivery: DeliveryRow): Promise<SendResult> {
    const { send, secretsOf } = this.parts;
    let secrets: ChannelSecrets;
    try {
      secrets = secretsOf(channel);
    } catch (error) {
      return { ok: false, code: 'SECRET_UNREADABLE', status: null, error: (error as Error).message };
    }
    return send(channel.name, channel.settings, secrets, {
      // Ids begin anew after a restore from an old backup; with the time they never mean two things.
      id: `msg_${delivery.id}_${delivery.createdAt.getTime().toString(36)}`,
      ...{ kind: delivery.kind, body: delivery.body },
    });
  }
}

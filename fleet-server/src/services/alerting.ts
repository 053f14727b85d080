import type { Logger } from 'pino';
import { observeActivity } from '../alerts/activity-observations.js';
import { decideAlerts, type Observation, type OpenAlert } from '../alerts/decide.js';
import { isAboutDevices, observeDevices, wantedBy } from '../alerts/device-observations.js';
import { dueNotice, type NoticeKind } from '../alerts/notice.js';
import { completeRule, FIRST_RULES, type Rule } from '../alerts/rule.js';
import { subscribes } from '../alerts/subscription.js';
import { observeTrust, type TrustFact } from '../alerts/trust-observations.js';
import type { ActivityRepository, ActivityRow } from '../io/database/activity-repository.js';
import type { AlertFactsRepository } from '../io/database/alert-facts-repository.js';
import type { AlertRepository, AlertRow, NamedRule } from '../io/database/alert-repository.js';
import type { ChannelRepository } from '../io/database/channel-repository.js';
import type { Database, Query } from '../io/database/database.js';
import type { DeliveryRepository, NewDelivery } from '../io/database/delivery-repository.js';
import type { Now } from '../ports.js';
import { ACTIVITY_KINDS } from './activity-kinds.js';

/** Name under which the activity log is read. */
const READER = 'notifications';
const BATCH = 500;
/** Alerts of one notice that are named; the count says all. */
const NAMED = 100;
/** Alerts that are looked at in one round. */
const ROUND = 5000;
const LEAST_REPEAT_MS = 5 * 60_000;
const DAY_MS = 86_400_000;

export interface AlertingParts {
  database: Database;
  activity: ActivityRepository;
  alerts: AlertRepository;
  channels: ChannelRepository;
  deliveries: DeliveryRepository;
  facts: AlertFactsRepository;
  trust: () => Promise<TrustFact[]>;
  now: Now;
  log: Logger;
  retentionDays: number;
}

/**
 * Raises and clears alerts and writes what is to be told to whom. Everything moves in the transaction of what it follows from
 * (the cursor of the activity log, the alert's own state), so a crash loses nothing and a second runner repeats nothing.
 */
export class AlertingService {
  constructor(private readonly parts: AlertingParts) {}

  /** Goes on where the activity log was left: subscriptions, and alerts that follow from what happened. */
  async follow(): Promise<void> {
    const { activity } = this.parts;
    let cursor = await activity.cursor(READER);
    if (cursor === null) cursor = await this.#begin();
    for (;;) {
      const { rows, seenTo } = await activity.passing(cursor, BATCH, ACTIVITY_KINDS);
      if (seenTo === cursor) return;
      cursor = seenTo;
      await this.#take(rows, cursor);
      if (rows.length < BATCH) return;
    }
  }

  /** Holds every rule against the fleet as it stands in the database. */
  async scan(): Promise<void> {
    const { alerts, now, database } = this.parts;
    const rules = await alerts.rules();
    const open = await alerts.open();
    const live = rules.filter(({ rule }) => rule.enabled);
    const at = now();
    await this.#scanDevices(
      live.filter(({ rule }) => isAboutDevices(rule.kind)),
      open,
      at,
    );
    for (const { name, rule } of live) {
      const observations = await this.#observe(rule, at);
      if (observations === null) continue;
      const given = { rule, open: open.get(name) ?? [], observations, complete: true, now: at };
      const queries = alerts.changes(name, rule, decideAlerts(given), at);
      if (queries.length > 0) await database.transaction(queries);
    }
    // Of rules that were removed or switched off nothing stays open.
    const names = new Set(live.map(({ name }) => name));
    for (const [name, list] of open) {
      if (names.has(name)) continue;
      const rule = rules.find((one) => one.name === name)?.rule ?? { kind: 'device-lost', severity: 'info' };
      await this.#end({ name, rule: rule as Rule }, list, at);
    }
  }

  /** Boards come in parts, so that a fleet is neither held in memory nor read or written in one statement. */
  async #scanDevices(rules: readonly NamedRule[], open: ReadonlyMap<string, OpenAlert[]>, at: Date): Promise<void> {
    if (rules.length === 0) return;
    const { alerts, facts, database } = this.parts;
    const unseen = new Map(
      rules.map(({ name }) => [name, new Map((open.get(name) ?? []).map((one) => [one.subject, one]))]),
    );
    for await (const part of facts.devices(at, wantedBy(rules.map(({ rule }) => rule.kind)))) {
      const queries: Query[] = [];
      for (const { name, rule } of rules) {
        const observations = observeDevices(rule, part, at);
        const mine: OpenAlert[] = [];
        for (const { subject } of observations) {
          const alert = unseen.get(name)?.get(subject);
          if (alert !== undefined) mine.push(alert);
          unseen.get(name)?.delete(subject);
        }
        const changes = decideAlerts({ rule, open: mine, observations, complete: false, now: at });
        queries.push(...alerts.changes(name, rule, changes, at));
      }
      if (queries.length > 0) await database.transaction(queries);
    }
    // Boards that are no more, or that a rule no longer selects.
    for (const named of rules) await this.#end(named, [...(unseen.get(named.name)?.values() ?? [])], at);
  }

  /** Alerts about nothing that is there are over. */
  async #end({ name, rule }: Pick<NamedRule, 'name' | 'rule'>, list: readonly OpenAlert[], at: Date): Promise<void> {
    const { alerts, database } = this.parts;
    for (let from = 0; from < list.length; from += BATCH) {
      const given = { rule: { minutes: 0 }, open: list.slice(from, from + BATCH), observations: [], now: at };
      await database.transaction(alerts.changes(name, rule, decideAlerts({ ...given, complete: true }), at));
    }
  }

  /** Writes the notices that are due, alerts of one rule together. */
  async notify(): Promise<void> {
    const { alerts, now } = this.parts;
    const at = now();
    const rules = new Map((await alerts.rules()).map((named) => [named.name, named]));
    const groups = new Map<string, { named: NamedRule; kind: NoticeKind; rows: AlertRow[] }>();
    for (const row of await alerts.toNotify(new Date(at.getTime() - LEAST_REPEAT_MS), ROUND)) {
      const named = rules.get(row.rule) ?? removedRule(row);
      const kind = dueNotice(row as Parameters<typeof dueNotice>[0], named.rule, at);
      if (kind === null) continue;
      const group = groups.get(`${kind} ${row.rule}`) ?? { named, kind, rows: [] };
      group.rows.push(row);
      groups.set(`${kind} ${row.rule}`, group);
    }
    for (const { named, kind, rows } of groups.values()) {
      const first = rows[0];
      await alerts.notify(
        {
          ...{ kind, rule: named.name, channels: named.rule.channels },
          alerts: rows.map(({ id, notices }) => ({ id, notices })),
          source: `alert:${kind}:${first.id}-${rows[rows.length - 1].id}:${first.notices}`,
          body: noticeBody(named, kind, rows, at),
        },
        at,
      );
    }
  }

  /** Drops what is older than the retention. */
  async prune(): Promise<void> {
    const { alerts, deliveries, now, retentionDays } = this.parts;
    const before = new Date(now().getTime() - retentionDays * DAY_MS);
    await deliveries.dropDoneBefore(before);
    await alerts.dropClearedBefore(before);
  }

  /** The first start: the rules that every fleet wants, and nothing of the past. */
  async #begin(): Promise<number> {
    const { activity, alerts, database, now } = this.parts;
    const newest = await activity.newestId();
    const rules = Object.entries(FIRST_RULES).flatMap(([name, input]) => {
      const made = completeRule(input);
      return made.ok ? [alerts.ruleInsertion({ name, rule: made.rule, updatedAt: now(), updatedBy: 'system' })] : [];
    });
    await database.transaction([...rules, activity.cursorMove(READER, newest)]);
    return newest;
  }

  async #take(rows: readonly ActivityRow[], cursor: number): Promise<void> {
    const { activity, alerts, channels, deliveries, database, now } = this.parts;
    const subscribers = (await channels.list()).filter((one) => one.enabled && one.events.length > 0);
    const added: NewDelivery[] = subscribers.flatMap((channel) =>
      rows
        .filter((row) => subscribes(channel.events, row.kind))
        .map((row) => ({
          ...{ channel: channel.name, source: `activity:${row.id}`, kind: row.kind, createdAt: now() },
          body: activityBody(row),
        })),
    );
    const queries: Query[] = added.length === 0 ? [] : [deliveries.insertion(added)];
    const observed = rows.map((row) => observeActivity(row)).filter((one) => one !== null);
    if (observed.length > 0) {
      const open = await alerts.open();
      for (const { name, rule } of await alerts.rules()) {
        if (!rule.enabled) continue;
        // Newest last: what it said at the end counts.
        const newest = new Map<string, Observation>();
        const known = open.get(name) ?? [];
        for (const { kind, observation, of } of observed) {
          if (kind !== rule.kind) continue;
          if (of === undefined) newest.set(observation.subject, observation);
          else
            for (const subject of [...newest.keys(), ...known.map((alert) => alert.subject)])
              if (subject.startsWith(of)) newest.set(subject, { ...observation, subject });
        }
        const observations = [...newest.values()];
        const given = { rule, open: known, observations, complete: false, now: now() };
        queries.push(...alerts.changes(name, rule, decideAlerts(given), now()));
      }
    }
    await database.transaction([...queries, activity.cursorMove(READER, cursor)]);
  }

  /** What a rule sees now that is not about boards; null: it lives by the activity log alone, or is about boards. */
  async #observe(rule: Rule, at: Date): Promise<Observation[] | null> {
    if (rule.kind === 'trust-expiry') return observeTrust(await this.parts.trust(), rule.threshold ?? 0, at);
    if (rule.kind !== 'channel-failing') return null;
    return (await this.parts.channels.list()).map(({ name, disabledAt, disabledReason }) => ({
      ...{ subject: name, since: disabledAt, detail: { reason: disabledReason } },
      state: disabledAt === null ? 'fine' : 'firing',
      text: disabledAt === null ? `channel ${name} works again` : `channel ${name} was switched off: ${disabledReason}`,
    }));
  }
}

function removedRule(row: AlertRow): NamedRule {
  const rule: Rule = {
    ...{ kind: row.kind, severity: row.severity, selector: {}, threshold: null, minutes: 0, channels: [] },
    ...{ quiet: null, repeatMinutes: null, enabled: false },
  };
  return { name: row.rule, rule, updatedAt: row.since, updatedBy: 'system' };
}

function activityBody({ id, kind, at, subject, actor, body }: ActivityRow): Record<string, unknown> {
  return { type: kind, at: at.toISOString(), activity: id, subject, actor, data: body };
}

function noticeBody(named: NamedRule, kind: NoticeKind, rows: readonly AlertRow[], at: Date): Record<string, unknown> {
  const { name, rule } = named;
  return {
    ...{ type: `alert.${kind}`, at: at.toISOString(), count: rows.length },
    rule: { name, kind: rule.kind, severity: rows[0].severity },
    alerts: rows.slice(0, NAMED).map((row) => ({
      ...{ id: row.id, subject: row.subject, detail: row.detail },
      text: kind === 'cleared' ? (row.clearedText ?? row.text) : row.text,
      raisedAt: row.raisedAt?.toISOString() ?? row.since.toISOString(),
      ...(row.clearedAt === null ? {} : { clearedAt: row.clearedAt.toISOString() }),
    })),
  };
}

import { and, desc, eq, inArray, lt, ne, sql } from 'drizzle-orm';
import type { AlertChange, OpenAlert } from '../../alerts/decide.js';
import type { NoticeKind } from '../../alerts/notice.js';
import { ENDED_BY_ACKNOWLEDGEMENT, type Rule } from '../../alerts/rule.js';
import type { Database, Query } from './database.js';
import { rawQuery } from './raw-query.js';
import { alertRules, alerts } from './schema/notifications.js';

export interface NamedRule {
  name: string;
  rule: Rule;
  updatedAt: Date;
  updatedBy: string;
}

export type AlertRow = typeof alerts.$inferSelect;

export interface AlertFilter {
  state?: 'raised' | 'cleared';
  rule?: string;
  subject?: string;
  acknowledged?: boolean;
}

/** Alerts of one rule that are told together. */
export interface Notice {
  kind: NoticeKind;
  rule: string;
  channels: readonly string[];
  /** As they were when it was decided: an alert that moved since is told in the next round. */
  alerts: readonly { id: number; notices: number }[];
  source: string;
  body: Record<string, unknown>;
}

export class AlertRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async rules(): Promise<NamedRule[]> {
    return this.#database.drizzle.select().from(alertRules).orderBy(alertRules.name);
  }

  async putRule(named: NamedRule): Promise<void> {
    const { rule, updatedAt, updatedBy } = named;
    const set = { rule, updatedAt, updatedBy };
    await this.#database.drizzle.insert(alertRules).values(named).onConflictDoUpdate({ target: alertRules.name, set });
  }

  /** Only where no rule of that name is there. */
  ruleInsertion(named: NamedRule): Query {
    return this.#database.drizzle.insert(alertRules).values(named).onConflictDoNothing();
  }

  async deleteRule(name: string): Promise<boolean> {
    const gone = await this.#database.drizzle
      .delete(alertRules)
      .where(eq(alertRules.name, name))
      .returning({ name: alertRules.name });
    return gone.length === 1;
  }

  /** Alerts that are not over, by rule. */
  async open(): Promise<Map<string, OpenAlert[]>> {
    const rows = await this.#database.drizzle
      .select({ rule: alerts.rule, subject: alerts.subject, state: alerts.state, since: alerts.since })
      .from(alerts)
      .where(ne(alerts.state, 'cleared'));
    const byRule = new Map<string, OpenAlert[]>();
    for (const { rule, ...alert } of rows) byRule.set(rule, [...(byRule.get(rule) ?? []), alert as OpenAlert]);
    return byRule;
  }

  /** What a decision writes, each with its entry of the activity log; done twice it is done once. */
  changes(name: string, rule: Pick<Rule, 'kind' | 'severity'>, changes: readonly AlertChange[], now: Date): Query[] {
    const of = (...kinds: AlertChange['change'][]) => changes.filter(({ change }) => kinds.includes(change));
    const at = sql`${now.toISOString()}::timestamptz`;
    const queries: Query[] = [];
    const query = (statement: ReturnType<typeof sql>) => queries.push(rawQuery(this.#database, statement));
    const begun = (list: readonly AlertChange[]) =>
      sql`(select * from jsonb_to_recordset(${JSON.stringify(list)}::jsonb) as given(subject text, since timestamptz, text text, detail jsonb))`;
    const raise = of('raise');
    if (raise.length > 0) {
      query(sql`with raised as (
        insert into alerts (rule, kind, severity, subject, state, text, detail, since, raised_at)
        select ${name}, ${rule.kind}, ${rule.severity}, subject, 'raised', text, detail, since, ${at} from ${begun(raise)} as begun
        on conflict (rule, subject) where state <> 'cleared' do update set state = 'raised', text = excluded.text,
          detail = excluded.detail, severity = excluded.severity, raised_at = excluded.raised_at
          where alerts.state = 'pending'
        returning id, subject, severity, text)
      insert into activity (at, kind, subject, actor, body) select ${at}, 'alert.raised', subject, 'system',
        jsonb_build_object('alert', id, 'rule', ${name}::text, 'ruleKind', ${rule.kind}::text, 'severity', severity, 'text', text)
        from raised`);
    }
    const pend = of('pend');
    if (pend.length > 0) {
      query(sql`insert into alerts (rule, kind, severity, subject, state, text, detail, since)
        select ${name}, ${rule.kind}, ${rule.severity}, subject, 'pending', text, detail, since from ${begun(pend)} as begun
        on conflict (rule, subject) where state <> 'cleared' do nothing`);
    }
    const forget = of('forget').map(({ subject }) => subject);
    if (forget.length > 0) {
      query(sql`delete from alerts where rule = ${name} and state = 'pending' and subject in
        (select jsonb_array_elements_text(${JSON.stringify(forget)}::jsonb))`);
    }
    const clear = of('clear');
    if (clear.length > 0) {
      query(sql`with ended as (
        update alerts set state = 'cleared', cleared_at = ${at}, cleared_text = given.text, cleared_noticed = notices = 0
        from jsonb_to_recordset(${JSON.stringify(clear)}::jsonb) as given(subject text, text text)
        where alerts.rule = ${name} and alerts.subject = given.subject and alerts.state = 'raised'
        returning alerts.id, alerts.subject, alerts.severity, coalesce(given.text, alerts.text) as text)
      insert into activity (at, kind, subject, actor, body) select ${at}, 'alert.cleared', subject, 'system',
        jsonb_build_object('alert', id, 'rule', ${name}::text, 'ruleKind', ${rule.kind}::text, 'severity', severity, 'text', text)
        from ended`);
    }
    return queries;
  }

  /** Alerts of which something may have to be told; `repeatBefore`: told last before then. */
  async toNotify(repeatBefore: Date, limit: number): Promise<AlertRow[]> {
    return this.#database.drizzle
      .select()
      .from(alerts)
      .where(
        and(
          eq(alerts.clearedNoticed, false),
          sql`(${alerts.state} = 'cleared' or (${alerts.state} = 'raised' and ${alerts.acknowledgedAt} is null
            and (${alerts.notices} = 0 or ${lt(alerts.lastNoticeAt, repeatBefore)})))`,
        ),
      )
      .orderBy(alerts.id)
      .limit(limit);
  }

  /** Marks alerts as told and writes the deliveries, both or neither; nothing when one of the alerts has moved. */
  async notify(notice: Notice, now: Date): Promise<void> {
    const at = sql`${now.toISOString()}::timestamptz`;
    const cleared = notice.kind === 'cleared';
    const mark = cleared ? sql`cleared_noticed = true` : sql`notices = alerts.notices + 1, last_notice_at = ${at}`;
    const state = cleared ? 'cleared' : 'raised';
    await this.#database.drizzle.execute(sql`
      with given as (select * from jsonb_to_recordset(${JSON.stringify(notice.alerts)}::jsonb) as given(id bigint, notices integer)),
      fresh as (select alerts.id from alerts join given on alerts.id = given.id and alerts.notices = given.notices
        where alerts.state = ${state} and not alerts.cleared_noticed for update),
      told as (update alerts set ${mark} where id in (select id from fresh)
        and (select count(*) from fresh) = (select count(*) from given) returning id)
      insert into deliveries (channel, source, kind, body, state, created_at, next_at)
      select name, ${notice.source}, ${`alert.${notice.kind}`}, ${JSON.stringify(notice.body)}::jsonb, 'pending', ${at}, ${at}
      from channels where name in (select jsonb_array_elements_text(${JSON.stringify(notice.channels)}::jsonb))
        and enabled and exists (select 1 from told)
      on conflict (channel, source) do nothing`);
  }

  /** Newest first, from below `beforeId` on; what waits is not shown. */
  async list(filter: AlertFilter, beforeId: number | null, limit: number): Promise<AlertRow[]> {
    return this.#database.drizzle
      .select()
      .from(alerts)
      .where(
        and(
          filter.state === undefined ? ne(alerts.state, 'pending') : eq(alerts.state, filter.state),
          filter.rule === undefined ? undefined : eq(alerts.rule, filter.rule),
          filter.subject === undefined ? undefined : eq(alerts.subject, filter.subject),
          filter.acknowledged === undefined
            ? undefined
            : filter.acknowledged
              ? sql`${alerts.acknowledgedAt} is not null`
              : sql`${alerts.acknowledgedAt} is null`,
          beforeId === null ? undefined : lt(alerts.id, beforeId),
        ),
      )
      .orderBy(desc(alerts.id))
      .limit(limit);
  }

  /** The first word counts: a second one changes nothing. Returns the alert, or null when there is none. */
  async acknowledge(id: number, by: string, note: string | null, now: Date): Promise<AlertRow | null> {
    const ends = sql`(kind in (select jsonb_array_elements_text(${JSON.stringify(ENDED_BY_ACKNOWLEDGEMENT)}::jsonb)))`;
    await this.#database.drizzle
      .update(alerts)
      .set({
        ...{ acknowledgedAt: now, acknowledgedBy: by, acknowledgedNote: note },
        state: sql`case when ${ends} then 'cleared' else state end`,
        clearedAt: sql`case when ${ends} and state = 'raised' then ${now.toISOString()}::timestamptz else cleared_at end`,
        clearedNoticed: sql`cleared_noticed or ${ends}`,
      })
      .where(
        and(eq(alerts.id, id), inArray(alerts.state, ['raised', 'cleared']), sql`${alerts.acknowledgedAt} is null`),
      );
    const rows = await this.#database.drizzle.select().from(alerts).where(eq(alerts.id, id));
    return rows[0] === undefined || rows[0].state === 'pending' ? null : rows[0];
  }

  /** Raised alerts by severity. */
  async counts(): Promise<Record<string, number>> {
    const rows = await this.#database.drizzle
      .select({ severity: alerts.severity, count: sql<number>`count(*)` })
      .from(alerts)
      .where(eq(alerts.state, 'raised'))
      .groupBy(alerts.severity);
    return Object.fromEntries(rows.map((row) => [row.severity, Number(row.count)]));
  }

  async dropClearedBefore(at: Date): Promise<void> {
    await this.#database.drizzle.delete(alerts).where(and(eq(alerts.state, 'cleared'), lt(alerts.clearedAt, at)));
  }
}

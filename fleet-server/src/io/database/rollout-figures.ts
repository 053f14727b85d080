import { and, eq, inArray, sql } from 'drizzle-orm';
import { alias } from 'drizzle-orm/pg-core';
import type { BoardFigures, Figures } from '../../rollout/model.js';
import type { Database } from './database.js';
import { telemetryMinutes as minutes } from './schema/devices.js';
import { devices } from './schema/foundation.js';
import { rolloutDevices as members } from './schema/rollouts.js';

/** Boards whose figures a judgement reads at the most, per wave and cohort: enough for confidence, bounded in work. */
export const SAMPLE = 200;
/** How far back the figures of before reach, ms. */
const BEFORE_MS = 3_600_000;

const ratio = (sum: unknown, count: unknown) => sql<number | null>`(sum(${sum}) / nullif(sum(${count}), 0))::float8`;
const FIGURES = {
  fps: ratio(minutes.frames, minutes.seconds),
  p50: ratio(minutes.p50Sum, minutes.latencyFrames),
  p95: ratio(minutes.p95Sum, minutes.latencyFrames),
  p99: ratio(minutes.p99Sum, minutes.latencyFrames),
  detections: sql<
    number | null
  >`(sum((select sum(bin) from unnest(${minutes.scores}) bin)) / nullif(sum(${minutes.frames}), 0))::float8`,
  temperature: ratio(minutes.temperatureSum, minutes.temperatureCount),
};
type FigureRow = { [K in keyof typeof FIGURES]: number | null };

/** Means of boards over their telemetry's minutes: what live gates and comparisons judge. Detections are per frame. */
export class RolloutFigures {
  constructor(private readonly database: Database) {}

  /**
   * What these boards did in the last hour before `until`, with the model that they run now: minutes with an earlier one say
   * nothing of what the next is held against.
   */
  async before(deviceIds: readonly string[], until: Date): Promise<Map<string, Figures>> {
    if (deviceIds.length === 0) return new Map();
    const since = new Date(until.getTime() - BEFORE_MS).toISOString();
    const rows = await this.database.drizzle
      .select({ deviceId: minutes.deviceId, ...FIGURES })
      .from(minutes)
      .innerJoin(devices, eq(devices.id, minutes.deviceId))
      .where(
        and(
          inArray(minutes.deviceId, [...deviceIds]),
          sql`${minutes.at} >= ${since}::timestamptz`,
          sql`${minutes.model} = ${devices.reported} #>> '{active,release,digest}'`,
        ),
      )
      .groupBy(minutes.deviceId);
    return new Map(rows.map((row) => [row.deviceId, figuresOf(row)]));
  }

  /** Before and after of boards that succeeded, a sample in the order of the rollout; `wave` null: of all waves. */
  async ofRollout(id: number, wave: number | null): Promise<BoardFigures[]> {
    const { drizzle } = this.database;
    const ranked = drizzle
      .select({
        deviceId: members.deviceId,
        told: members.told,
        cohort: members.cohort,
        before: members.before,
        endedAt: members.endedAt,
        place: sql<number>`row_number() over (partition by ${members.cohort} order by ${members.position})`.as('place'),
      })
      .from(members)
      .where(
        and(
          ...[eq(members.rolloutId, id), eq(members.state, 'succeeded')],
          wave === null ? undefined : eq(members.wave, wave),
        ),
      )
      .as('ranked');
    const sampled = await drizzle.select().from(ranked).where(sql`${ranked.place} <= ${SAMPLE}`);
    if (sampled.length === 0) return [];
    const member = alias(members, 'member');
    const rows = await drizzle
      .select({ deviceId: minutes.deviceId, ...FIGURES })
      .from(minutes)
      .innerJoin(member, and(eq(member.deviceId, minutes.deviceId), eq(member.rolloutId, id)))
      .where(
        and(
          inArray(
            minutes.deviceId,
            sampled.map((one) => one.deviceId),
          ),
          sql`${minutes.at} >= ${member.endedAt} and ${minutes.model} = ${member.told}`,
        ),
      )
      .groupBy(minutes.deviceId);
    const after = new Map(rows.map((row) => [row.deviceId, figuresOf(row)]));
    return sampled.map(({ deviceId, cohort, before }) => ({
      deviceId,
      cohort,
      before,
      after: after.get(deviceId) ?? null,
    }));
  }
}

function figuresOf(row: FigureRow): Figures {
  const named = {
    fps: row.fps,
    'latencyMs.p50': row.p50,
    'latencyMs.p95': row.p95,
    'latencyMs.p99': row.p99,
    detections: row.detections,
    temperatureC: row.temperature,
  };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== null)) as Figures;
}

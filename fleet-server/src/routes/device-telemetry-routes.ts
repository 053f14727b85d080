import { type Static, Type } from '@sinclair/typebox';
import { DeviceId } from '@vigie/protocol';
import type { FastifyInstance } from 'fastify';
import { viewSpan } from '../devices/telemetry-view.js';
import type { DriftRepository } from '../io/database/drift-repository.js';
import type { ModelRow, TelemetryRepository } from '../io/database/telemetry-repository.js';
import type { Now } from '../ports.js';
import type { CostlyAnswers } from '../services/costly-answers.js';
import { DeviceParams } from './device-routes.js';
import { instantOf, Moment } from './moment.js';
import { Problem } from './problem.js';

const Strict = { additionalProperties: false } as const;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const MOST_POINTS = 5000;
/** Longest span that is summed over all boards by minutes. */
const MINUTES_OF_ALL_MS = 2 * HOUR_MS;

const SeriesQuery = Type.Object(
  {
    from: Type.Optional(Moment),
    to: Type.Optional(Moment),
    resolution: Type.Optional(
      Type.Union([Type.Literal('raw'), Type.Literal('minute'), Type.Literal('hour')], {
        description: 'minutes up to two days, else hours, when nobody says',
      }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MOST_POINTS, default: MOST_POINTS })),
  },
  Strict,
);
const SpanQuery = Type.Object({ from: Type.Optional(Moment), to: Type.Optional(Moment) }, Strict);
const DriftQuery = Type.Object(
  { device: Type.Optional(DeviceId), limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })) },
  Strict,
);

/** Figures of boards over time, of releases over all boards (`sums`: the latest of these), and how far either has drifted. */
export function deviceTelemetryRoutes(
  app: FastifyInstance,
  {
    telemetry,
    sums,
    drift,
    now,
  }: { telemetry: TelemetryRepository; sums: CostlyAnswers<ModelRow[]>; drift: DriftRepository; now: Now },
): void {
  const spanOf = (query: Static<typeof SpanQuery>, usualMs: number, present = now()) => {
    const to = instantOf(query.to) ?? present;
    const from = instantOf(query.from) ?? new Date(Math.max(0, to.getTime() - usualMs));
    if (from >= to) throw new Problem('REQUEST_INVALID', 'from: is not before to; an hour ago until now when left out');
    return { from, to };
  };

  app.get<{ Params: Static<typeof DeviceParams>; Querystring: Static<typeof SeriesQuery> }>(
    '/devices/:id/telemetry',
    { schema: { summary: 'Telemetry of a board over time', params: DeviceParams, querystring: SeriesQuery } },
    async ({ params, query }) => {
      const { from, to } = spanOf(query, HOUR_MS);
      const long = to.getTime() - from.getTime() > 48 * HOUR_MS;
      const { resolution = long ? 'hour' : 'minute', limit = MOST_POINTS } = query;
      const about = { resolution, from: from.toISOString(), to: to.toISOString() };
      if (resolution === 'raw') return { ...about, items: await telemetry.raw(params.id, from, to, limit) };
      const rows = await telemetry.series(params.id, resolution, from, to, limit);
      return {
        ...about,
        items: rows.map((row) => ({ at: row.at, model: row.model || null, ...viewSpan({ ...row }) })),
      };
    },
  );

  app.get<{ Querystring: Static<typeof SpanQuery> }>(
    '/telemetry/releases',
    { schema: { summary: 'Telemetry of all boards by what they ran', querystring: SpanQuery } },
    async ({ query }) => {
      // To the end of this minute: who asks next asks for the same.
      const { from, to } = spanOf(query, HOUR_MS, new Date(Math.ceil(now().getTime() / MINUTE_MS) * MINUTE_MS));
      const resolution = to.getTime() - from.getTime() > MINUTES_OF_ALL_MS ? 'hour' : 'minute';
      const rows = await sums.get(JSON.stringify([resolution, from, to]), () =>
        telemetry.byModel(resolution, from, to),
      );
      const items = rows.map((row) => ({
        ...{ release: row.release, model: row.model || null, boards: row.boards },
        ...viewSpan({ ...row }),
      }));
      return { resolution, from: from.toISOString(), to: to.toISOString(), items };
    },
  );

  app.get<{ Querystring: Static<typeof DriftQuery> }>(
    '/drift',
    {
      schema: {
        summary: 'How far boards and releases are from their baselines, the furthest first',
        querystring: DriftQuery,
      },
    },
    async ({ query }) => ({ items: await drift.findings(query.device, query.limit ?? 100) }),
  );
}

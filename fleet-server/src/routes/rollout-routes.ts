import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import type { RolloutRepository } from '../io/database/rollout-repository.js';
import type { StoredRollout } from '../io/database/rollout-rows.js';
import type { RolloutViews } from '../io/database/rollout-views.js';
import type { RolloutCommand } from '../rollout/commands.js';
import { completeSpec } from '../rollout/spec.js';
import type { RolloutRehearsal } from '../services/rollout-rehearsal.js';
import type { Refused, RolloutService } from '../services/rollout-service.js';
import { detailOf, summaryOf } from '../services/rollout-view.js';
import { Paging } from './paging.js';
import { Problem } from './problem.js';
import {
  COMMAND_BODIES,
  COMMAND_SUMMARIES,
  type CommandName,
  CreateBody,
  CreateQuery,
  DecisionsQuery,
  DevicesQuery,
  ListQuery,
  RolloutParams,
} from './rollout-schemas.js';

export interface RolloutRouteServices {
  rollouts: RolloutService;
  rehearsal: RolloutRehearsal;
  repository: RolloutRepository;
  views: RolloutViews;
}

const Id = Type.Integer({ minimum: 0 });
const ROLLOUTS = new Paging('rollouts', Id, 50);
const DEVICES = new Paging('rollout-devices', Id);
const DECISIONS = new Paging('rollout-decisions', Id);

export function rolloutRoutes(
  app: FastifyInstance,
  { rollouts, rehearsal, repository, views }: RolloutRouteServices,
): void {
  const shown = async (rollout: StoredRollout) => detailOf(rollout, await views.countsOf(rollout.id));
  const found = async ({ id }: RolloutParams): Promise<StoredRollout> => {
    const rollout = await repository.find(Number(id));
    if (rollout === null) throw new Problem('ROLLOUT_UNKNOWN', `there is no rollout ${id}`);
    return rollout;
  };

  app.post<{ Body: Static<typeof CreateBody>; Querystring: Static<typeof CreateQuery> }>(
    '/rollouts',
    { schema: { summary: 'Make a rollout, or try out what it would do', body: CreateBody, querystring: CreateQuery } },
    async ({ body, query, actor, audit }, reply) => {
      const spec = completeSpec(body);
      audit.subject = `${spec.release.name}@${spec.release.version}`;
      if (spec.overrideLabels !== undefined) audit.details = { overrideLabels: spec.overrideLabels.reason };
      if (query.dryRun === true) {
        const tried = await rollouts.preview(spec);
        return tried.ok ? { dryRun: true, spec, ...tried.preview } : refuse(tried);
      }
      const made = await rollouts.create(spec, actor?.name ?? 'system', { start: query.start });
      if (!made.ok) return refuse(made);
      return reply.code(201).send(await shown(made.rollout));
    },
  );

  app.post<{ Body: Static<typeof CreateBody> }>(
    '/rollouts/rehearse',
    {
      schema: { summary: 'Predict duration, bytes and stragglers of a rollout from history', body: CreateBody },
      config: { role: 'viewer' },
    },
    async ({ body }) => {
      const spec = completeSpec(body);
      const tried = await rehearsal.rehearse(spec);
      return tried.ok ? { spec, ...tried.rehearsal } : refuse(tried);
    },
  );

  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/rollouts',
    { schema: { summary: 'Rollouts, newest first', querystring: ListQuery } },
    async ({ query }) => {
      const asked = ROLLOUTS.read(query);
      const states = query.state === undefined ? undefined : [query.state];
      const rows = await repository.list(asked.after, asked.limit + 1, states);
      const counts = await views.counts(rows.map(({ id }) => id));
      return ROLLOUTS.page(
        rows,
        asked,
        ({ id }) => id,
        (row) => summaryOf(row, counts.get(row.id) ?? []),
      );
    },
  );

  app.get<{ Params: RolloutParams }>(
    '/rollouts/:id',
    { schema: { summary: 'One rollout: its waves, their counts, and why', params: RolloutParams } },
    // Both at once: on a busy server each question waits in a line.
    async ({ params }) => {
      const [rollout, counts] = await Promise.all([found(params), views.countsOf(Number(params.id))]);
      return detailOf(rollout, counts);
    },
  );

  app.get<{ Params: RolloutParams; Querystring: Static<typeof DevicesQuery> }>(
    '/rollouts/:id/devices',
    { schema: { summary: 'Boards of a rollout, in its order', params: RolloutParams, querystring: DevicesQuery } },
    async ({ params, query }) => {
      const { id } = await found(params);
      const asked = DEVICES.read(query);
      const { wave, state } = query;
      const rows = await views.devices(id, { after: asked.after, limit: asked.limit + 1, wave, state });
      return DEVICES.page(
        rows,
        asked,
        ({ position }) => position,
        ({ position: _position, ...row }) => row,
      );
    },
  );

  app.get<{ Params: RolloutParams; Querystring: Static<typeof DecisionsQuery> }>(
    '/rollouts/:id/decisions',
    {
      schema: {
        summary: 'What was decided and from which inputs, newest first',
        params: RolloutParams,
        querystring: DecisionsQuery,
      },
    },
    async ({ params, query }) => {
      const { id } = await found(params);
      const asked = DECISIONS.read(query);
      const kinds = query.kind === undefined ? undefined : [query.kind];
      const rows = await views.decisions(id, asked.after, asked.limit + 1, kinds);
      return DECISIONS.page(
        rows,
        asked,
        (row) => row.id,
        ({ rolloutId: _rollout, ...row }) => row,
      );
    },
  );

  for (const name of Object.keys(COMMAND_BODIES) as CommandName[]) {
    const body = Type.Union([COMMAND_BODIES[name], Type.Null()]);
    app.post<{ Params: RolloutParams; Body: Record<string, never> | null }>(
      `/rollouts/:id/${name}`,
      { schema: { summary: COMMAND_SUMMARIES[name], params: RolloutParams, body } },
      async ({ params, body: given, actor }) => {
        const command = { ...(given ?? {}), kind: name } as RolloutCommand;
        const done = await rollouts.command(Number(params.id), command, actor?.name ?? 'system');
        return done.ok ? shown(done.rollout) : refuse(done);
      },
    );
  }
}

function refuse({ code, detail }: Refused): never {
  throw new Problem(code, detail);
}

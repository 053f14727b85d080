import { type Static, Type } from '@sinclair/typebox';
import { configurationDigest, DeviceId, StrictDeviceConfiguration } from '@vigie/protocol';
import type { FastifyInstance } from 'fastify';
import { GroupName } from '../devices/selector.js';
import type { ConfigurationRecord, ConfigurationRepository } from '../io/database/configuration-repository.js';
import type { ConfigurationScope } from '../io/database/schema/devices.js';
import type { ConfigurationService } from '../services/configurations.js';
import { Paging, pageParameters } from './paging.js';
import { Problem } from './problem.js';

const Strict = { additionalProperties: false } as const;
const Body = Type.Object(
  { configuration: StrictDeviceConfiguration, note: Type.Optional(Type.String({ maxLength: 1000 })) },
  Strict,
);
const HistoryQuery = Type.Object(pageParameters(), Strict);
const PAGING = new Paging('configurations', Type.Integer({ minimum: 1 }));

/** Where a configuration hangs, and what its path is made of. */
const PLACES = [
  { path: '/configuration', scope: 'fleet', params: Type.Object({}), of: 'all boards' },
  { path: '/groups/:target/configuration', scope: 'group', params: Type.Object({ target: GroupName }), of: 'a group' },
  {
    path: '/devices/:target/configuration',
    scope: 'device',
    params: Type.Object({ target: DeviceId }),
    of: 'one board',
  },
] as const;

/** What boards look for: of the fleet, of groups, of single boards. The nearest one counts, as a whole. */
export function deviceConfigurationRoutes(
  app: FastifyInstance,
  { configurations, repository }: { configurations: ConfigurationService; repository: ConfigurationRepository },
): void {
  for (const { path, scope, params, of } of PLACES) {
    const targetOf = (given: unknown) => (given as { target?: string }).target ?? '';

    app.get(path, { schema: { summary: `What is wanted of ${of}`, params } }, async (request) => {
      const record = await repository.newest(scope, targetOf(request.params));
      if (record === null) throw none(scope, targetOf(request.params));
      return view(record);
    });

    app.get<{ Querystring: Static<typeof HistoryQuery> }>(
      `${path}/versions`,
      { schema: { summary: `Every version of what was wanted of ${of}`, params, querystring: HistoryQuery } },
      async (request) => {
        const asked = PAGING.read(request.query);
        const rows = await repository.history(scope, targetOf(request.params), asked.after, asked.limit + 1);
        return PAGING.page(rows, asked, (record) => record.version, view);
      },
    );

    app.put<{ Body: Static<typeof Body> }>(
      path,
      { schema: { summary: `Say what ${of} shall look for`, params, body: Body } },
      async ({ params: given, body, actor }) => {
        const by = { actor: actor?.name ?? 'system', note: body.note ?? '' };
        const result = await configurations.want(scope, targetOf(given), body.configuration, by);
        if (!result.ok) throw new Problem(result.code, result.detail, result.reason ? { reason: result.reason } : {});
        return { ...view(result.record), told: result.told };
      },
    );

    app.delete(path, { schema: { summary: `Take back what was wanted of ${of}`, params } }, async (request) => {
      const target = targetOf(request.params);
      if ((await repository.newest(scope, target))?.configuration == null) throw none(scope, target);
      const result = await configurations.want(scope, target, null, {
        actor: request.actor?.name ?? 'system',
        note: '',
      });
      if (!result.ok) throw new Problem(result.code, result.detail);
      return { ...view(result.record), told: result.told };
    });
  }
}

function none(scope: ConfigurationScope, target: string): Problem {
  return new Problem('CONFIGURATION_UNKNOWN', `nothing was wanted of ${scope === 'fleet' ? 'the fleet' : target}`);
}

function view(record: ConfigurationRecord) {
  const { scope, target, version, configuration, createdAt, createdBy, note } = record;
  return {
    ...{ scope, target, version, createdBy, note, configuration },
    digest: configuration === null ? null : configurationDigest(configuration),
    createdAt: createdAt.toISOString(),
  };
}

import { type Static, Type } from '@sinclair/typebox';
import { DELIVERY, DeviceId, deviceTopic, INSTALL_PHASES } from '@vigie/protocol';
import type { FastifyInstance } from 'fastify';
import { viewDevice } from '../devices/device-view.js';
import { GroupName, type Groups, Tag } from '../devices/selector.js';
import type { DeviceAdministration } from '../io/database/device-administration.js';
import type { DeviceFilter } from '../io/database/device-filter.js';
import type { DeviceRepository } from '../io/database/device-repository.js';
import type { GroupRepository } from '../io/database/group-repository.js';
import type { IngestRepository } from '../io/database/ingest-repository.js';
import type { Broker, Now, ObjectStore } from '../ports.js';
import type { RevocationService } from '../services/revocation.js';
import { Paging, pageParameters } from './paging.js';
import { Problem, sendProblem } from './problem.js';

const Strict = { additionalProperties: false } as const;

export const DeviceParams = Type.Object({ id: DeviceId });
const SnapshotParams = Type.Object({ id: DeviceId, event: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }) });
const ReleaseName = Type.String({ pattern: '^[^@]{1,64}@.{1,64}$', maxLength: 130, description: '`name@version`' });
const Yes = (description: string) => Type.Optional(Type.Boolean({ description }));
const Filter = {
  tag: Type.Optional(
    Type.Union([Tag, Type.Array(Tag, { minItems: 1, maxItems: 16 })], { description: 'all of them, when repeated' }),
  ),
  group: Type.Optional(GroupName),
  class: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'hardware class' })),
  role: Type.Optional(Type.Union([Type.Literal('standard'), Type.Literal('lab')])),
  running: Type.Optional(ReleaseName),
  desired: Type.Optional(ReleaseName),
  phase: Type.Optional(Type.Union([Type.Literal('IDLE'), ...INSTALL_PHASES.map((phase) => Type.Literal(phase))])),
  error: Type.Optional(Type.String({ pattern: '^[A-Z0-9_]{1,64}$' })),
  online: Yes('its line is there'),
  inSync: Yes('it proved that it runs what is wanted'),
  pending: Yes('it waits for approval'),
  revoked: Yes('it was shut out'),
  decommissioned: Yes('true: only those; else they are left out'),
  prefix: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'of the id or the name' })),
};
const ListQuery = Type.Object({ ...pageParameters(), ...Filter }, Strict);
const CountQuery = Type.Object(Filter, Strict);
const PAGING = new Paging('devices', DeviceId);
const NO_GROUPS: Groups = new Map();

const Changes = Type.Object(
  {
    name: Type.Optional(Type.String({ maxLength: 100 })),
    notes: Type.Optional(Type.String({ maxLength: 4000 })),
    tags: Type.Optional(Type.Array(Tag, { maxItems: 32 })),
    timeZone: Type.Optional(
      Type.Union([Type.String({ pattern: '^[A-Za-z0-9_+/-]{1,64}$' }), Type.Null()], {
        description: 'IANA zone of its maintenance windows; null: UTC',
      }),
    ),
  },
  { ...Strict, minProperties: 1 },
);

export interface DeviceRouteServices {
  devices: DeviceRepository;
  administration: DeviceAdministration;
  groups: GroupRepository;
  received: IngestRepository;
  pictures: ObjectStore;
  revocations: RevocationService;
  broker: Broker;
  /** Something changed by which boards are selected. */
  selectionChanged: () => void;
  /** Puts the desired states of these boards on the wire. */
  publishDesired: (deviceIds: readonly string[]) => Promise<void>;
  now: Now;
}

type Listed = { Querystring: Static<typeof ListQuery> };
type Counted = { Querystring: Static<typeof CountQuery> };
type One = { Params: Static<typeof DeviceParams> };

export function deviceRoutes(app: FastifyInstance, services: DeviceRouteServices): void {
  const { devices, administration, groups, received, pictures, revocations, broker, now } = services;
  const unknown = (id: string) => new Problem('DEVICE_UNKNOWN', `no device ${id} is enrolled`);
  const shown = async (id: string) => {
    const [record, newest] = await Promise.all([devices.find(id), devices.newestTelemetry(id)]);
    if (record === null) throw unknown(id);
    return viewDevice(record, newest);
  };
  const groupsOf = async ({ group }: Static<typeof CountQuery>) =>
    group === undefined ? NO_GROUPS : groups.selectors();

  app.get<Listed>(
    '/devices',
    {
      schema: {
        summary: 'Devices in the order of their ids; telemetry only with the single one',
        querystring: ListQuery,
      },
    },
    async ({ query }) => {
      const asked = PAGING.read(query);
      const rows = await devices.page(filterOf(query), await groupsOf(query), asked.after, asked.limit + 1);
      return PAGING.page(
        rows,
        asked,
        (record) => record.id,
        (record) => viewDevice(record, null),
      );
    },
  );

  app.get<Counted>(
    '/devices/counts',
    { schema: { summary: 'How many devices a filter leaves', querystring: CountQuery } },
    async ({ query }) => devices.counts(filterOf(query), await groupsOf(query)),
  );

  app.get<One>(
    '/devices/:id',
    { schema: { summary: 'One device with its newest telemetry', params: DeviceParams } },
    async ({ params }) => shown(params.id),
  );

  app.patch<One & { Body: Static<typeof Changes> }>(
    '/devices/:id',
    { schema: { summary: 'Name, notes, tags, time zone', params: DeviceParams, body: Changes } },
    async ({ params, body, actor }) => {
      if (body.timeZone != null && !isTimeZone(body.timeZone))
        throw new Problem('TIME_ZONE_UNKNOWN', `timeZone: "${body.timeZone}"; give one such as Europe/Berlin`);
      if (!(await administration.change(params.id, body, actor?.name ?? 'system', now()))) throw unknown(params.id);
      services.selectionChanged();
      return shown(params.id);
    },
  );

  app.post<One>(
    '/devices/:id/approve',
    { schema: { summary: 'Let a board that waits be told things', params: DeviceParams } },
    async ({ params, actor }) => {
      if (!(await administration.approve(params.id, actor?.name ?? 'system', now()))) {
        await shown(params.id);
        throw new Problem('DEVICE_NOT_PENDING', `${params.id} does not wait for approval`);
      }
      services.selectionChanged();
      await services.publishDesired([params.id]);
      return shown(params.id);
    },
  );

  app.post<One>(
    '/devices/:id/revoke',
    { schema: { summary: 'Shut a board out at once; a new enrolment lets it in again', params: DeviceParams } },
    async ({ params }) => {
      if (!(await revocations.revoke(params.id))) throw unknown(params.id);
      return shown(params.id);
    },
  );

  app.post<One>(
    '/devices/:id/decommission',
    {
      schema: {
        summary: 'Take a board out of the fleet: shut out, off the lists, its retained messages cleared',
        params: DeviceParams,
      },
    },
    async ({ params, actor }) => {
      if (!(await administration.decommission(params.id, actor?.name ?? 'system', now()))) throw unknown(params.id);
      await revocations.revoke(params.id);
      for (const kind of ['desired', 'reported', 'presence'] as const)
        broker.publish(deviceTopic(params.id, kind), Buffer.alloc(0), DELIVERY[kind]);
      return shown(params.id);
    },
  );

  app.get<{ Params: Static<typeof SnapshotParams> }>(
    '/devices/:id/snapshots/:event',
    { schema: { summary: 'JPEG of an event, or of a command `snapshot` by its id', params: SnapshotParams } },
    async ({ params }, reply) => {
      const row = await received.snapshot(params.id, params.event);
      if (row === null)
        return sendProblem(reply, 'SNAPSHOT_UNKNOWN', `no picture of event ${params.event} came from ${params.id}`);
      return reply.type('image/jpeg').send(await pictures.get(row.sha256));
    },
  );
}

function filterOf({ class: hardwareClass, tag, ...rest }: Static<typeof CountQuery>): DeviceFilter {
  return { ...rest, hardwareClass, tags: tag === undefined ? [] : [tag].flat() };
}

function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

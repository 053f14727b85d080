import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { DeliveryPolicy, DeviceId, ModelName, SemanticVersion, ShadowPolicy, TrialPolicy } from '@vigie/protocol';
import type { FastifyInstance } from 'fastify';
import { viewDevice } from '../devices/device-view.js';
import type { DeviceRepository } from '../io/database/device-repository.js';
import type { IngestRepository } from '../io/database/ingest-repository.js';
import type { ObjectStore } from '../ports.js';
import type { AssignmentService } from '../services/assignment.js';
import type { RevocationService } from '../services/revocation.js';
import { sendProblem } from './problem.js';

const Strict = { additionalProperties: false } as const;

const DeviceParams = Type.Object({ id: DeviceId });
const SnapshotParams = Type.Object({ id: DeviceId, event: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }) });
/** Go on although rules of boards need labels that the release lacks. */
export const OverrideLabels = Type.Object({ reason: Type.String({ minLength: 3, maxLength: 1000 }) }, Strict);
const AssignmentRequest = Type.Object(
  {
    devices: Type.Array(DeviceId, { minItems: 1, maxItems: 5000 }),
    name: ModelName,
    version: SemanticVersion,
    retry: Type.Optional(Type.Boolean()),
    trial: Type.Optional(Type.Partial(TrialPolicy, Strict)),
    /** What it leaves out takes the defaults of ShadowPolicy. */
    shadow: Type.Optional(Type.Partial(ShadowPolicy, Strict)),
    delivery: Type.Optional(Type.Partial(DeliveryPolicy, Strict)),
    overrideLabels: Type.Optional(OverrideLabels),
  },
  Strict,
);
const EventQuery = Type.Object(
  { device: Type.Optional(DeviceId), limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })) },
  Strict,
);

export interface DeviceRouteServices {
  devices: DeviceRepository;
  received: IngestRepository;
  pictures: ObjectStore;
  revocations: RevocationService;
  assignments: AssignmentService;
}

export function deviceRoutes(app: FastifyInstance, services: DeviceRouteServices): void {
  const { devices, received, pictures, revocations, assignments } = services;

  app.get('/devices', { schema: { summary: 'All devices; telemetry only with the single device' } }, async () => ({
    items: (await devices.list()).map((record) => viewDevice(record, null)),
  }));

  app.get<{ Params: Static<typeof DeviceParams> }>(
    '/devices/:id',
    { schema: { summary: 'One device with its newest telemetry', params: DeviceParams } },
    async ({ params }, reply) => {
      const record = await devices.find(params.id);
      if (record === null) return sendProblem(reply, 'DEVICE_UNKNOWN', `no device ${params.id} is enrolled`);
      return viewDevice(record, await devices.newestTelemetry(params.id));
    },
  );

  app.get<{ Params: Static<typeof SnapshotParams> }>(
    '/devices/:id/snapshots/:event',
    { schema: { summary: 'JPEG of an event', params: SnapshotParams } },
    async ({ params }, reply) => {
      const row = await received.snapshot(params.id, params.event);
      if (row === null)
        return sendProblem(reply, 'SNAPSHOT_UNKNOWN', `no picture of event ${params.event} came from ${params.id}`);
      return reply.type('image/jpeg').send(await pictures.get(row.sha256));
    },
  );

  app.get<{ Querystring: Static<typeof EventQuery> }>(
    '/events',
    { schema: { summary: 'Newest event messages first', querystring: EventQuery } },
    async ({ query }) => {
      const rows = await received.events({ device: query.device, limit: query.limit ?? 100 });
      return { items: rows.map(({ deviceId, receivedAt, body }) => ({ deviceId, receivedAt, ...(body as object) })) };
    },
  );

  app.post<{ Body: Static<typeof AssignmentRequest> }>(
    '/assignments',
    { schema: { summary: 'Give devices a release', body: AssignmentRequest } },
    async ({ body, actor }, reply) => {
      const shadow = body.shadow && { ...Value.Create(ShadowPolicy), ...body.shadow };
      const result = await assignments.assign({ ...body, shadow, actor: actor?.name });
      if (!result.ok) return sendProblem(reply, result.code, result.detail);
      return reply.code(202).send({ assignments: result.assignments });
    },
  );

  app.post<{ Params: Static<typeof DeviceParams> }>(
    '/devices/:id/revoke',
    { schema: { summary: 'Shut a board out at once; a new enrolment lets it in again', params: DeviceParams } },
    async ({ params }, reply) => {
      if (!(await revocations.revoke(params.id)))
        return sendProblem(reply, 'DEVICE_UNKNOWN', `no device ${params.id} is enrolled`);
      const record = await devices.find(params.id);
      return record === null ? { id: params.id } : viewDevice(record, null);
    },
  );
}

import { Type } from '@sinclair/typebox';
import {
  DeviceId,
  EnrollResponse,
  Event,
  ReleaseReference,
  Reported,
  ReportedConfiguration,
  Telemetry,
} from '@vigie/protocol';
import { GroupName, GroupSelector } from '../../devices/selector.js';
import { pageOf } from '../paging.js';
import {
  type Answers,
  At,
  answer,
  Count,
  Counts,
  Document,
  Flag,
  gone,
  listOf,
  oneOf,
  orNull,
  Text,
  underApi,
} from './parts.js';

const Role = oneOf(['standard', 'lab']);
const Tags = Type.Array(Text);
const Device = Type.Object({
  ...{ id: DeviceId, hardwareClass: Text, agentVersion: Text, enrolledAt: At, revokedAt: orNull(At), pending: Flag },
  ...{ decommissionedAt: orNull(At), name: Text, notes: Text, role: Role, tags: Tags, timeZone: orNull(Text) },
  lastSeenAt: orNull(At),
  configuration: Type.Object({ wanted: orNull(Text), reported: orNull(ReportedConfiguration) }),
  presence: Type.Object({ online: Flag, bootId: orNull(Text), at: orNull(At) }),
  desired: orNull(Type.Object({ generation: Count, issuedAt: At, release: orNull(ReleaseReference) })),
  reported: orNull(Type.Intersect([Reported, Type.Object({ receivedAt: orNull(At) })])),
  inSync: Type.Boolean({ description: 'it proved that it runs what is wanted' }),
  telemetry: orNull(Telemetry),
});
const DeviceCounts = Type.Object({
  ...{ total: Count, online: Count, inSync: Count, pending: Count, failing: Count },
  ...{ byRunning: Counts, byPhase: Counts, byHardwareClass: Counts },
});
const group = {
  ...{ name: GroupName, selector: GroupSelector, description: Text, priority: Type.Integer() },
  ...{ createdAt: At, updatedAt: At },
};
const configuration = {
  ...{ scope: oneOf(['fleet', 'group', 'device']), target: Text, version: Count, createdBy: Text, note: Text },
  ...{ configuration: orNull(Document), digest: orNull(Text), createdAt: At },
};
const Configuration = Type.Object(configuration);
const Told = Type.Object({
  ...configuration,
  told: Type.Integer({ minimum: 0, description: 'boards that were told something else at once' }),
});
const Command = Type.Object({
  ...{ id: Text, deviceId: DeviceId, command: Document, createdBy: Text, issuedAt: At, expiresAt: At },
  ...{ state: oneOf(['sent', 'answered', 'expired']), answeredAt: orNull(At), ok: orNull(Flag), code: orNull(Text) },
  result: Type.Unknown(),
});
const Milliseconds = Type.Number({ description: 'ms' });
const span = {
  ...{ messages: Count, seconds: Type.Number(), fps: Type.Number(), fpsMin: Type.Number(), drops: Count },
  latencyMs: orNull(
    Type.Object({
      ...{ p50: Milliseconds, p95: Milliseconds, p99: Milliseconds },
      ...{ inferenceP95: Milliseconds, p95Max: Milliseconds },
    }),
  ),
  ...{ cpu: Type.Number(), cpuMax: Type.Number(), memoryMaxBytes: Type.Number() },
  ...{ temperatureC: orNull(Type.Number()), temperatureMaxC: orNull(Type.Number()), throttledShare: Type.Number() },
  ...{ diskFreeMinBytes: orNull(Type.Number()), inferenceRestarts: Count, detections: Count },
  ...{ scoreHistogram: Type.Array(Type.Number()), boxAreaHistogram: Type.Array(Type.Number()) },
};
const window = { from: At, to: At };
const Finding = Type.Object({
  model: Text,
  device: Type.String({ description: 'empty: all boards together' }),
  ...{ release: orNull(Text), at: At, scorePsi: Type.Number(), areaPsi: Type.Number(), detections: Count },
  ...{ drifting: Flag, since: At },
});
const Token = Type.Object({
  ...{ id: Text, createdAt: At, expiresAt: At, uses: Count, used: Count, usedAt: orNull(At), usedBy: orNull(Text) },
  ...{ revokedAt: orNull(At), role: Role, tags: Tags, approval: Flag, createdBy: Text, note: Text },
});
const onConfiguration = (path: string): Answers => ({
  [`GET ${path}`]: answer(Configuration),
  [`PUT ${path}`]: answer(Told),
  [`DELETE ${path}`]: answer(Told),
  [`GET ${path}/versions`]: answer(pageOf(Configuration)),
});

export const DEVICE_ANSWERS: Answers = underApi({
  'GET /devices': answer(pageOf(Device)),
  'GET /devices/counts': answer(DeviceCounts),
  'GET /devices/:id': answer(Device),
  'PATCH /devices/:id': answer(Device),
  'POST /devices/:id/approve': answer(Device),
  'POST /devices/:id/revoke': answer(Device),
  'POST /devices/:id/decommission': answer(Device),
  'GET /devices/:id/snapshots/:event': { produces: 'image/jpeg' },
  'GET /groups': answer(listOf(Type.Object(group))),
  'GET /groups/:name': answer(Type.Object({ ...group, counts: DeviceCounts })),
  'PUT /groups/:name': answer(Type.Object(group)),
  'DELETE /groups/:name': gone,
  ...onConfiguration('/configuration'),
  ...onConfiguration('/groups/:target/configuration'),
  ...onConfiguration('/devices/:target/configuration'),
  'POST /devices/:id/commands': answer(Command, 202),
  'GET /devices/:id/commands': answer(pageOf(Command)),
  'GET /devices/:id/commands/:command': answer(Command),
  'GET /devices/:id/telemetry': answer(
    Type.Union([
      Type.Object({
        resolution: oneOf(['minute', 'hour']),
        ...window,
        items: Type.Array(Type.Object({ at: At, model: orNull(Text), ...span })),
      }),
      Type.Object({ resolution: Type.Literal('raw'), ...window, items: Type.Array(Telemetry) }),
    ]),
  ),
  'GET /telemetry/releases': answer(
    Type.Object({
      resolution: oneOf(['minute', 'hour']),
      ...window,
      items: Type.Array(Type.Object({ release: orNull(Text), model: orNull(Text), boards: Count, ...span })),
    }),
  ),
  'GET /drift': answer(listOf(Finding)),
  'GET /events': answer(pageOf(Type.Intersect([Type.Object({ deviceId: DeviceId, receivedAt: At }), Event]))),
  'POST /assignments': answer(
    Type.Object({ assignments: Type.Array(Type.Object({ deviceId: DeviceId, generation: Count })) }),
    202,
  ),
  'POST /enrollment-tokens': answer(Type.Object({ id: Text, token: Text, expiresAt: At }), 201),
  'GET /enrollment-tokens': answer(listOf(Token)),
  'DELETE /enrollment-tokens/:token': gone,
  'POST /enroll': answer(EnrollResponse),
  'POST /renew': answer(EnrollResponse),
  'GET /identity': answer(Type.Object({ deviceId: DeviceId, serial: Text, expiresAt: At })),
});

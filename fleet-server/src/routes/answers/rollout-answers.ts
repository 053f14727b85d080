import { Type } from '@sinclair/typebox';
import { DeviceId, ReleaseReference } from '@vigie/protocol';
import { DECISION_KINDS } from '../../rollout/model.js';
import { RolloutSpec } from '../../rollout/spec.js';
import { MEMBER_STATES, ROLLOUT_STATES } from '../../rollout/states.js';
import { pageOf } from '../paging.js';
import {
  type Answers,
  At,
  answer,
  Count,
  Counts,
  Document,
  Flag,
  oneOf,
  orNull,
  ReleaseName,
  Text,
  underApi,
} from './parts.js';

const State = oneOf(ROLLOUT_STATES);
const MemberState = oneOf([...MEMBER_STATES, 'unreachable']);
const summary = {
  ...{ id: Count, title: Text, release: ReleaseName, state: State, reason: orNull(Document) },
  ...{ createdBy: Text, createdAt: At, startAt: orNull(At), startedAt: orNull(At), endedAt: orNull(At), updatedAt: At },
  ...{ phase: Text, wave: Count, waves: Count },
  totals: Type.Record(Text, Count, { description: 'boards by state' }),
};
const Stage = Type.Object({
  ...{ name: Text, index: Count, state: oneOf(['waiting', 'approval', 'open', 'soaking', 'done']), boards: Count },
  ...{ reached: Count, succeeded: Count, failed: Count, timedOut: Count, atWork: Count, waiting: Count },
  ...{ unreachable: Count, deferred: Count, declined: Count, turnedBack: Count, outside: Count },
  successShare: orNull(Type.Number({ description: 'succeeded / reached' })),
});
const Detail = Type.Object({
  ...summary,
  revision: Count,
  approvals: Type.Array(Type.Object({ wave: Count, by: Text })),
  spec: RolloutSpec,
  cohorts: orNull(Type.Object({ A: Counts, B: Counts, winner: orNull(oneOf(['A', 'B'])) })),
  stages: Type.Array(Stage),
  reasons: Type.Array(
    Type.Object({ wave: Text, state: MemberState, code: orNull(Text), count: Count, example: orNull(Text) }),
  ),
});
const Preview = Type.Object({
  ...{ dryRun: Type.Literal(true), spec: RolloutSpec, other: Type.Array(DeviceId) },
  waves: Type.Array(Type.Object({ name: Text, devices: Type.Array(DeviceId) })),
  notCertified: Type.Array(Type.Object({ device: DeviceId, hardwareClass: Text })),
});
const Range = Type.Object({ low: Type.Number(), likely: Type.Number(), high: Type.Number() });
const Rehearsal = Type.Object({
  ...{ spec: RolloutSpec, samples: Count, seconds: orNull(Range), bytes: Range, successShare: orNull(Type.Number()) },
  waves: Type.Array(
    Type.Object({
      ...{ name: Text, boards: Count, online: Count, seconds: orNull(Range), soakSeconds: Type.Number() },
    }),
  ),
  stragglers: Type.Array(Type.Object({ device: DeviceId, wave: Text, reasons: Type.Array(Text) })),
  notes: Type.Array(Text),
});
const Member = Type.Object({
  ...{ deviceId: DeviceId, wave: Type.Integer(), cohort: oneOf(['A', 'B']), state: MemberState, code: orNull(Text) },
  ...{ message: orNull(Text), hardwareClass: orNull(Text), online: Flag, generation: orNull(Count), attempt: Count },
  ...{ previous: orNull(ReleaseReference), offeredAt: orNull(At), reachedAt: orNull(At), endedAt: orNull(At) },
  ...{ retryAt: orNull(At), fetchedBytes: orNull(Type.Number()) },
});
const Decision = Type.Object({
  ...{ id: Count, revision: Count, at: At, kind: oneOf(DECISION_KINDS), wave: orNull(Count), actor: Text, text: Text },
  inputs: Document,
});
const COMMANDS = ['start', 'pause', 'resume', 'abort', 'rollback', 'retry', 'approve'];

export const ROLLOUT_ANSWERS: Answers = underApi({
  'POST /rollouts': { response: { 200: Preview, 201: Detail } },
  'GET /rollouts': answer(pageOf(Type.Object(summary))),
  'POST /rollouts/rehearse': answer(Rehearsal),
  'GET /rollouts/:id': answer(Detail),
  'GET /rollouts/:id/devices': answer(pageOf(Member)),
  'GET /rollouts/:id/decisions': answer(pageOf(Decision)),
  ...Object.fromEntries(COMMANDS.map((command) => [`POST /rollouts/:id/${command}`, answer(Detail)])),
});

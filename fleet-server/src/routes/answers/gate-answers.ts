import { Type } from '@sinclair/typebox';
import { BenchmarkResult, EvidenceFilter, GatePolicy } from '@vigie/protocol';
import { LAB_STATES } from '../../gates/lab.js';
import { OVERRIDE_STATES } from '../../gates/override.js';
import { pageOf } from '../paging.js';
import {
  type Answers,
  At,
  answer,
  Count,
  Document,
  Figures,
  Flag,
  listOf,
  oneOf,
  orNull,
  ReleaseName,
  Text,
  underApi,
  VerdictName,
} from './parts.js';

const { name, version } = ReleaseName.properties;
const Policy = Type.Object({
  ...{ name: Text, version: Count, removed: Flag, createdAt: At, createdBy: Text, note: Text },
  document: orNull(GatePolicy),
});
const RuleVerdict = Type.Object({
  ...{ rule: Text, require: Text, metric: Text, unit: Text, verdict: VerdictName, code: Text, why: Text },
  comparisons: Type.Array(Document),
  excluded: Type.Array(Document),
  championExcluded: Type.Array(Document),
});
const Classes = Type.Array(
  Type.Object({
    ...{ hardwareClasses: Type.Array(Text), verdict: VerdictName, rules: Type.Array(RuleVerdict), measured: Figures },
  }),
);
const GateVerdict = Type.Object({ policy: Text, verdict: VerdictName, classes: Classes });
const Verdict = Type.Object({
  ...{ id: Count, release: ReleaseName, policy: Text, policyVersion: Count, at: At, actor: Text },
  verdict: VerdictName,
  inputs: Type.Object({
    evidence: Type.Array(Count, { description: 'numbers of benchmark results' }),
    champion: orNull(Type.Object({ name, version, digest: Text, evidence: Type.Array(Count) })),
  }),
  classes: Classes,
});
const ReleaseState = Type.Object({ name, version, digest: Text, state: Text });
const Judgement = {
  release: ReleaseState,
  verdicts: Type.Array(Type.Intersect([Type.Object({ id: Count, policyVersion: Count }), GateVerdict])),
  certified: Type.Array(Text, { description: 'classes that this judgement certified anew' }),
};
const Grant = Type.Object({
  ...{ hardwareClass: Text, policy: Text, measured: Figures, grantedAt: At, verdicts: Type.Array(Count) },
  overrideId: orNull(Count),
  revoked: orNull(Type.Object({ at: At, by: orNull(Text), reason: orNull(Text) })),
});
const Override = Type.Object({
  ...{ id: Count, release: orNull(ReleaseName), hardwareClasses: Type.Array(Text), reason: Text },
  ...{ state: oneOf(OVERRIDE_STATES), requestedBy: Text, requestedAt: At, verdicts: Type.Array(Count) },
  ...{ decidedBy: orNull(Text), decidedAt: orNull(At), decision: orNull(Text) },
});
const about = {
  ...{ id: Count, hash: Text, release: ReleaseName, source: oneOf(['ci', 'lab']), deviceId: orNull(Text) },
  ...{ actor: Text, receivedAt: At },
};
const Lab = Type.Object({
  ...{ id: Text, deviceId: Text, samples: Count, requestedBy: Text, requestedAt: At, expiresAt: At },
  ...{ state: oneOf(LAB_STATES), code: orNull(Text), detail: orNull(Text), benchmark: orNull(Count) },
});
const LAB_ASKED = Type.Object({ items: Type.Array(Lab) });
const RuleNeed = Type.Object({
  ...{ rule: Text, require: Text, metric: Text, verdict: VerdictName, code: Text, why: Text },
  ...{ evidence: EvidenceFilter, minSamples: Count },
});
const GateNeed = Type.Object({
  ...{ policy: Text, policyVersion: Count, verdict: VerdictName },
  classes: Type.Array(
    Type.Object({ hardwareClasses: Type.Array(Text), verdict: VerdictName, rules: Type.Array(RuleNeed) }),
  ),
});
const Needs = Type.Object({
  release: ReleaseState,
  decide: Type.Boolean({ description: 'gates certify here; else uploads are released as they are' }),
  certified: Type.Array(Text, { description: 'classes' }),
  gates: Type.Array(GateNeed),
});
const Rehearsed = Type.Object({ name, version, digest: Text, verdict: GateVerdict });

export const GATE_ANSWERS: Answers = underApi({
  'POST /benchmarks': answer(
    Type.Intersect([Type.Object({ id: Count, created: Flag }), Type.Partial(Type.Object(Judgement))]),
    ...[200, 201],
  ),
  'GET /benchmarks': answer(
    pageOf(
      Type.Object({ ...about, result: Type.Record(Text, Type.Unknown(), { description: 'without its samples' }) }),
    ),
  ),
  'GET /benchmarks/:id': answer(Type.Object({ ...about, result: BenchmarkResult })),
  'GET /gates': answer(listOf(Policy)),
  'GET /gates/:name': answer(Type.Intersect([Policy, Type.Object({ history: Type.Array(Policy) })])),
  'PUT /gates/:name': answer(Policy, 200, 201),
  'DELETE /gates/:name': answer(Policy),
  'POST /gates/:name/dry-run': answer(
    Type.Object({
      policy: Text,
      counts: Type.Object({ pass: Count, fail: Count, inconclusive: Count }),
      items: Type.Array(Rehearsed),
    }),
  ),
  'POST /releases/:name/:version/lab-benchmarks': answer(LAB_ASKED, 202),
  'GET /releases/:name/:version/lab-benchmarks': answer(LAB_ASKED),
  'GET /releases/:name/:version/gates': answer(Needs),
  'GET /gate-verdicts': answer(pageOf(Verdict)),
  'GET /gate-verdicts/:id': answer(Verdict),
  'POST /releases/:name/:version/judge': answer(Type.Object(Judgement)),
  'POST /releases/:name/:version/release': answer(
    Type.Intersect([ReleaseState, Type.Object({ certifiedBy: orNull(Text) })]),
  ),
  'GET /releases/:name/:version/certificates': answer(listOf(Grant)),
  'POST /releases/:name/:version/certificates/revoke': answer(listOf(Grant)),
  'POST /releases/:name/:version/overrides': answer(Override, 201),
  'GET /gate-overrides': answer(pageOf(Override)),
  'POST /gate-overrides/:id/approve': answer(Override),
  'POST /gate-overrides/:id/reject': answer(Override),
});

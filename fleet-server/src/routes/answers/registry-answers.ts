import { Type } from '@sinclair/typebox';
import { ReleaseDescriptor, Sha256 } from '@vigie/protocol';
import { PROMOTION_ALIASES, PromotionAlias, PromotionCandidate } from '../../registry/promotion.js';
import { RELEASE_STATES } from '../../registry/release-state.js';
import { pageOf } from '../paging.js';
import {
  type Answers,
  At,
  answer,
  Count,
  Document,
  Figures,
  gone,
  listOf,
  oneOf,
  orNull,
  ReleaseName,
  Text,
  underApi,
} from './parts.js';

const State = oneOf(RELEASE_STATES);
const Manifest = Type.Object({
  ...{ task: Text, license: Text, engine: Text, modelFile: Text, provenance: Type.Record(Text, Text) },
  input: Type.Object({ width: Count, height: Count }),
  metrics: Type.Array(Type.Record(Text, Type.Union([Text, Type.Number()]))),
});
const Provenance = Type.Object({
  ...{ kind: Text, url: Text, model: Text, version: Text, runId: orNull(Text), metrics: Figures, importedAt: At },
});
const Release = Type.Object({
  ...ReleaseName.properties,
  digest: Text,
  precision: Text,
  bytes: Count,
  state: State,
  published: Type.Boolean({ description: 'the signed targets list it; one that is not waits for signatures' }),
  certifiedBy: orNull(Text),
  createdAt: At,
  withdrawnAt: orNull(At),
  uploadedBy: Text,
  notes: Text,
  manifest: orNull(Manifest),
  provenance: orNull(Provenance),
});
const Promotion = Type.Object({
  ...{ id: Count, at: At, ...ReleaseName.properties, alias: PromotionAlias, actor: Text, reason: Text },
  compared: Type.Array(PromotionCandidate),
  missingLabels: Type.Array(Text),
});
const WholeRelease = Type.Intersect([
  Release,
  Type.Object({
    descriptor: ReleaseDescriptor,
    aliases: Type.Array(PromotionAlias),
    promotions: Type.Array(Promotion, { description: 'the newest decisions about it' }),
  }),
]);
const Compared = Type.Object({ ...ReleaseName.properties, digest: Text, precision: Text, state: State });
const Comparison = Type.Object({
  ...{ a: Compared, b: Compared },
  labels: Type.Object({ onlyA: Type.Array(Text), onlyB: Type.Array(Text) }),
  rows: Type.Array(
    Type.Object({
      ...{ group: Text, metric: Text, unit: Text, a: orNull(Type.Number()), b: orNull(Type.Number()) },
      difference: orNull(Type.Number({ description: 'b - a' })),
      ratio: orNull(Type.Number({ description: 'b / a' })),
      better: orNull(oneOf(['a', 'b', 'same'])),
    }),
  ),
});
const Holder = orNull(Type.Object({ version: Text, promotion: Count, at: At }));
const Source = Type.Object({ kind: oneOf(['client', 'mlflow']) });
const Upload = Type.Object({
  id: Text,
  state: oneOf(['receiving', 'fetching', 'verifying', 'done', 'refused']),
  bytes: orNull(Count),
  received: orNull(Type.Integer({ minimum: 0, description: 'bytes that are here; null: not known at this replica' })),
  sha256: orNull(Sha256),
  ...{ source: Source, actor: Text, notes: Text, createdAt: At, touchedAt: At, expiresAt: orNull(At) },
  failure: orNull(Type.Object({ code: Text, packageCode: Type.Optional(Text), detail: Text })),
  release: orNull(Type.Object({ ...ReleaseName.properties, state: State })),
  created: orNull(Type.Boolean({ description: 'false: the registry had this very package already' })),
});
const Collection = Type.Object({ at: At, deletedObjects: Count, deletedBytes: Count });

export const REGISTRY_ANSWERS: Answers = underApi({
  'GET /releases': answer(listOf(Release)),
  'POST /releases': answer(Release, 200, 201),
  'GET /releases/:name/:version': answer(WholeRelease),
  'PUT /releases/:name/:version/notes': answer(Release),
  'POST /releases/:name/:version/withdraw': answer(Release),
  'GET /releases/compare': answer(Comparison),
  'POST /promotions': answer(Promotion, 201),
  'GET /promotions': answer(pageOf(Promotion)),
  'GET /models': answer(
    listOf(Type.Object({ name: Text, ...Object.fromEntries(PROMOTION_ALIASES.map((alias) => [alias, Holder])) })),
  ),
  'GET /uploads': answer(pageOf(Upload)),
  'POST /uploads': answer(Upload, 201),
  'GET /uploads/:id': answer(Upload),
  'DELETE /uploads/:id': gone,
  'PATCH /uploads/:id': gone,
  'GET /storage': answer(
    Type.Object({
      ...{ objects: Count, bytes: Count, lastCollection: orNull(Collection) },
      unreferenced: Type.Object({ objects: Count, bytes: Count, oldObjects: Count, oldBytes: Count }),
    }),
  ),
  'POST /storage/collect': answer(Collection),
  'POST /mlflow/imports': answer(Type.Object({ id: Text, state: Text, source: Document }), 202),
  'GET /objects/:sha256': { produces: 'application/octet-stream' },
});

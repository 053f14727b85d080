import { type Static, Type } from '@sinclair/typebox';
import { ChunkReference, Sha256 } from '@vigie/protocol';

/** TUF metadata as this repository writes it (TUF 1.0.31, 4.1 to 4.6). Files and signatures that come from elsewhere are checked against it. */
export const SPEC_VERSION = '1.0.31';

/** Largest version: what fits into a topic's level. */
export const MAX_VERSION = 2_000_000_000;

const KeyId = Sha256;
const Version = Type.Integer({ minimum: 1, maximum: MAX_VERSION });
/** TUF writes times without a fraction (4.1). */
const Time = Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z$' });
const Head = { spec_version: Type.Literal(SPEC_VERSION), version: Version, expires: Time };

export const Signature = Type.Object({ keyid: KeyId, sig: Type.String({ pattern: '^[0-9a-f]{128}$' }) });
export type Signature = Static<typeof Signature>;

/** An Ed25519 public key, 32 bytes in hex. */
export const KeyEntry = Type.Object({
  keytype: Type.Literal('ed25519'),
  scheme: Type.Literal('ed25519'),
  keyval: Type.Object({ public: Type.String({ pattern: '^[0-9a-f]{64}$' }) }),
});
export type KeyEntry = Static<typeof KeyEntry>;
const Keys = Type.Record(KeyId, KeyEntry);

/** Which keys sign for a role, and how many of them are needed. */
export const RoleKeys = Type.Object({
  keyids: Type.Array(KeyId, { minItems: 1, maxItems: 16, uniqueItems: true }),
  threshold: Type.Integer({ minimum: 1, maximum: 16 }),
});
export type RoleKeys = Static<typeof RoleKeys>;

/** Roles that the root names (4.3). */
export const TOP_ROLES = ['root', 'targets', 'snapshot', 'timestamp'] as const;
export type TopRole = (typeof TOP_ROLES)[number];
/** Every role of this repository: `certified` is delegated by `targets`. */
export const ROLES = ['root', 'targets', 'certified', 'snapshot', 'timestamp'] as const;
export type Role = (typeof ROLES)[number];

export const RootBody = Type.Object({
  _type: Type.Literal('root'),
  ...Head,
  consistent_snapshot: Type.Literal(true),
  keys: Keys,
  roles: Type.Object({ root: RoleKeys, targets: RoleKeys, snapshot: RoleKeys, timestamp: RoleKeys }),
});
export type RootBody = Static<typeof RootBody>;

/** One target (4.5); `custom.chunks` where its bytes do not fit into one chunk on the wire. */
export const TargetBody = Type.Object({
  length: Type.Integer({ minimum: 0 }),
  hashes: Type.Object({ sha256: Sha256 }),
  custom: Type.Optional(Type.Object({ chunks: Type.Array(ChunkReference, { minItems: 1, maxItems: 64 }) })),
});
export type TargetBody = Static<typeof TargetBody>;

export const Delegation = Type.Object({
  ...RoleKeys.properties,
  name: Type.Literal('certified'),
  terminating: Type.Boolean(),
  paths: Type.Array(Type.String(), { minItems: 1, maxItems: 1 }),
});

export const TargetsBody = Type.Object({
  _type: Type.Literal('targets'),
  ...Head,
  targets: Type.Record(Type.String(), TargetBody),
  delegations: Type.Optional(Type.Object({ keys: Keys, roles: Type.Array(Delegation, { minItems: 1, maxItems: 1 }) })),
});
export type TargetsBody = Static<typeof TargetsBody>;

/** Version, length and hash of a metadata file (4.4). */
export const MetaFile = Type.Object({
  version: Version,
  length: Type.Integer({ minimum: 1 }),
  hashes: Type.Object({ sha256: Sha256 }),
});
export type MetaFile = Static<typeof MetaFile>;

export const SnapshotBody = Type.Object({
  _type: Type.Literal('snapshot'),
  ...Head,
  meta: Type.Object({ 'targets.json': MetaFile, 'certified.json': MetaFile }),
});
export type SnapshotBody = Static<typeof SnapshotBody>;

export const TimestampBody = Type.Object({
  _type: Type.Literal('timestamp'),
  ...Head,
  meta: Type.Object({ 'snapshot.json': MetaFile }),
  /** When it was signed: a board without a clock learns from it how late it is at least. Not of the specification, which lets further members stand. */
  issued_at: Time,
});
export type TimestampBody = Static<typeof TimestampBody>;

export const documentOf = <T extends typeof RootBody | typeof TargetsBody | typeof SnapshotBody | typeof TimestampBody>(
  body: T,
) => Type.Object({ signatures: Type.Array(Signature, { maxItems: 64 }), signed: body });

import { type Static, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { Key, Metadata, type MetadataKind } from '@tufjs/models';
import { Sha256 } from '@vigie/protocol';

/** Longest lists that are kept; the oldest entry goes first. */
const MAX_DROPPED_KEYS = 32;
const MAX_SERVER_KEYS = 32;
const MAX_DESCRIBED = 64;

const Pem = Type.String({ maxLength: 1000 });
const KeyEntry = Type.Object({
  keytype: Type.String(),
  scheme: Type.String(),
  keyval: Type.Record(Type.String(), Type.String()),
});

/**
 * What a board knows beyond the newest metadata: `vigie.json` in the trusted folder, committed with it. All of it was
 * taken from metadata whose signatures were checked.
 */
export const TufMemory = Type.Object({
  schema: Type.Literal(1),
  /** Role → key id → key: keys that an earlier trusted delegator listed for the role and the present one does not. */
  droppedKeys: Type.Record(Type.String(), Type.Record(Type.String(), KeyEntry)),
  /** What the target `server-keys.json` says; null: there is none, the enrolment's keys count. */
  serverKeys: Type.Union([Type.Object({ sha256: Sha256, keys: Type.Array(Pem) }), Type.Null()]),
  /** Keys that signed desired states once, by an earlier list. */
  formerServerKeys: Type.Array(Pem),
  /** Target paths of releases that were described here: one of them that is no longer listed was withdrawn. */
  described: Type.Array(Type.String({ maxLength: 300 })),
});
export type TufMemory = Static<typeof TufMemory>;

const check = TypeCompiler.Compile(TufMemory);

export const EMPTY_MEMORY: TufMemory = {
  schema: 1,
  droppedKeys: {},
  serverKeys: null,
  formerServerKeys: [],
  described: [],
};

/** Null: damaged. */
export function parseMemory(text: string): TufMemory | null {
  try {
    const value: unknown = JSON.parse(text);
    return check.Check(value) ? value : null;
  } catch {
    return null;
  }
}

/** The keys of one role by key id, as its delegator lists them. */
export type RoleKeys = Readonly<Record<string, Key>>;

/** A delegator's new word on a role: remembers what it no longer lists, forgets what it lists again. */
export function dropKeys(memory: TufMemory, role: string, before: RoleKeys, after: RoleKeys): TufMemory {
  const kept = Object.entries(memory.droppedKeys[role] ?? {}).filter(([keyId]) => after[keyId] === undefined);
  const dropped = Object.entries(before)
    .filter(([keyId]) => after[keyId] === undefined)
    .map(([keyId, key]) => [keyId, key.toJSON() as Static<typeof KeyEntry>] as const);
  const entries = new Map([...kept, ...dropped].slice(-MAX_DROPPED_KEYS));
  return { ...memory, droppedKeys: { ...memory.droppedKeys, [role]: Object.fromEntries(entries) } };
}

/** Id of a dropped key of this role that validly signed these bytes; null when there is none. */
export function signedByDroppedKey(memory: TufMemory, role: string, kind: MetadataKind, bytes: Buffer): string | null {
  const dropped = memory.droppedKeys[role] ?? {};
  try {
    // The declaration has one overload per kind, and none for any of them.
    const metadata = Metadata.fromJSON(kind as MetadataKind.Targets, JSON.parse(bytes.toString('utf8')));
    for (const [keyId, entry] of Object.entries(dropped)) {
      if (metadata.signatures[keyId] === undefined) continue;
      try {
        Key.fromJSON(keyId, entry).verifySignature(metadata);
        return keyId;
      } catch {
        // Somebody wrote the id of a key that he does not have.
      }
    }
  } catch {
    // No metadata at all: it names no signer.
  }
  return null;
}

/** The list of server keys as it is now; `enrolled`: what counts without one. */
export function withServerKeys(
  memory: TufMemory,
  serverKeys: TufMemory['serverKeys'],
  enrolled: readonly string[],
): TufMemory {
  const before = memory.serverKeys?.keys ?? enrolled;
  const after = serverKeys?.keys ?? enrolled;
  const former = [...memory.formerServerKeys, ...before].filter((key) => !after.includes(key));
  return { ...memory, serverKeys, formerServerKeys: [...new Set(former)].slice(-MAX_SERVER_KEYS) };
}

export function withDescribed(memory: TufMemory, path: string): TufMemory {
  const others = memory.described.filter((known) => known !== path);
  return { ...memory, described: [...others, path].slice(-MAX_DESCRIBED) };
}

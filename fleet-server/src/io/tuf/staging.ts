import { type Static, Type } from '@sinclair/typebox';
import { RoleKeys, type RootBody as Root, RootBody, Signature, TargetsBody } from './metadata-schema.js';
import { type SignedDocument, validSigners } from './signed-document.js';
import { mayFollow, type Published, signedUnder, type TrustState } from './trust-state.js';

/** Roles whose keys may be kept offline: a new version of them may have to wait for people. */
export const STAGED_ROLES = ['root', 'targets'] as const;
export type StagedRole = (typeof STAGED_ROLES)[number];

/** Longest lists of a file that a person carries, so that a damaged one is refused and not read for ever. */
const Pems = Type.Array(Type.String({ maxLength: 1000 }), { maxItems: 64 });

const stagedOf = <T extends typeof RootBody | typeof TargetsBody>(body: T) =>
  Type.Object({
    signed: body,
    signatures: Type.Array(Signature, { maxItems: 64 }),
    /** What is published now, with its signatures: whoever signed that can see what changes. */
    previous: Type.Object({ signed: body, signatures: Type.Array(Signature, { maxItems: 64 }) }),
    /** Who must sign: of each of these a threshold. A new root needs the keys of the old one and its own. */
    signers: Type.Array(RoleKeys, { minItems: 1, maxItems: 2 }),
    /** Of targets: the keys (SPKI, PEM) whose list `server-keys.json` is. Its hash is checked before anybody is told of them. */
    serverKeys: Type.Optional(Pems),
  });

/** `tuf/staged/root.json`, `tuf/staged/targets.json`: the next version of a role, waiting for signatures. */
export const StagedRoot = stagedOf(RootBody);
export type StagedRoot = Static<typeof StagedRoot>;
export const StagedTargets = stagedOf(TargetsBody);
export type StagedTargets = Static<typeof StagedTargets>;
export type StagedDocument = StagedRoot | StagedTargets;

/** What waits. Also what `GET /api/v1/tuf/staged` answers and `tuf sign` reads. */
export const Staged = Type.Object({ root: Type.Optional(StagedRoot), targets: Type.Optional(StagedTargets) });
export type Staged = Static<typeof Staged>;

/** Signatures that a staged document still needs; 0: complete. */
export function missingSignatures(document: StagedDocument, keys: Root['keys']): number {
  const left = document.signers.map((role) => role.threshold - validSigners(document, role, keys).length);
  return Math.max(0, ...left);
}

/** A role whose next version waits, and how many signatures it still needs. */
export interface WaitingRole {
  role: StagedRole;
  version: number;
  missing: number;
}

export function waitingRoles(state: TrustState, staged: Staged): WaitingRole[] {
  const keys = knownKeys(state, staged);
  return STAGED_ROLES.flatMap((role) => {
    const document = staged[role];
    if (document === undefined) return [];
    return [{ role, version: document.signed.version, missing: missingSignatures(document, keys) }];
  });
}

/** Every key that may sign what is staged: of the present root and of the staged one. */
export function knownKeys(state: TrustState, staged: Staged): Root['keys'] {
  return { ...state.root.document.signed.keys, ...staged.root?.signed.keys };
}

export interface Promotion {
  root: SignedDocument<Root> | null;
  targets: SignedDocument<TargetsBody> | null;
}

/**
 * What of the staged documents may be published now. A root that gives `targets` to other keys waits until a `targets` signed
 * by these is complete: boards would trust no list at all in between.
 */
export function promotable(state: TrustState, staged: Staged): Promotion {
  const current = state.root.document.signed;
  const targetsUnder = (root: Root): SignedDocument<TargetsBody> | null => {
    if (staged.targets !== undefined && signedUnder(root, 'targets', staged.targets)) return bare(staged.targets);
    return signedUnder(root, 'targets', state.targets.document) ? state.targets.document : null;
  };
  const changed = (targets: SignedDocument<TargetsBody>) => (targets === state.targets.document ? null : targets);
  if (staged.root !== undefined && mayFollow(current, staged.root)) {
    const targets = targetsUnder(staged.root.signed);
    if (targets !== null) return { root: bare(staged.root), targets: changed(targets) };
  }
  const targets = targetsUnder(current);
  return { root: null, targets: targets === null ? null : changed(targets) };
}

/** What is left of the staged documents when this is published. */
export function stillStaged(staged: Staged, root: Published<Root>, targets: Published<TargetsBody>): Staged {
  const left: Staged = {};
  if (staged.root !== undefined && staged.root.signed.version > root.document.signed.version) left.root = staged.root;
  if (staged.targets !== undefined && staged.targets.signed.version > targets.document.signed.version)
    left.targets = staged.targets;
  return left;
}

/** Who must sign these: for a root the old keys and its own (TUF 1.0.31, 6.1), for targets those that the coming root names. */
export function signersOf(state: TrustState, staged: { root?: { signed: Root } }, role: StagedRole): RoleKeys[] {
  const current = state.root.document.signed.roles;
  const coming = staged.root?.signed.roles ?? current;
  return role === 'root' ? [current.root, coming.root] : [coming.targets];
}

/** Without what is only for people. */
function bare<T>({ signatures, signed }: SignedDocument<T>): SignedDocument<T> {
  return { signatures, signed };
}

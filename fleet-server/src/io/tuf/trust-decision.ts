import { isDeepStrictEqual } from 'node:util';
import { head } from './bodies.js';
import type { KeyFolder } from './key-folder.js';
import type { RoleKeys, RootBody, TargetsBody } from './metadata-schema.js';
import { nextState, publish } from './next-state.js';
import type { ServerKeyLists } from './server-key-lists.js';
import { signWith } from './signed-document.js';
import { stagedWrites } from './staged-files.js';
import { promotable, type Staged, type StagedDocument, type StagedRole, signersOf, stillStaged } from './staging.js';
import type { TrustChange } from './trust-change.js';
import { trustWrites } from './trust-files.js';
import { signedUnder, type TrustState } from './trust-state.js';
import type { TrustWrite } from './trust-storage.js';
import { TufError } from './tuf-error.js';

/** What is there, and who signs. */
export interface TrustContext {
  state: TrustState;
  staged: Staged;
  keys: KeyFolder;
  lists: ServerKeyLists;
  now: Date;
}

/** What a change comes to, before it is signed by the online roles and written. */
export interface Prepared {
  staged: Staged;
  change: TrustChange;
  /** Files that must be there before anything names them. */
  first: TrustWrite[];
}

/** What a change asks for, signed with the keys at hand where people have to sign. Throws TufError. */
export function prepare(context: TrustContext, change: TrustChange): Prepared {
  const { state, staged: current, lists, now } = context;
  const { floor = {} } = change;
  const staged: Staged = { ...current };
  const first: TrustWrite[] = [];
  if (change.unstage === true) delete staged.targets;
  if (change.root !== undefined) {
    const version = state.root.document.signed.version + 1;
    const { keys, roles } = change.root;
    const body: RootBody = { _type: 'root', ...head('root', version, now), consistent_snapshot: true, keys, roles };
    staged.root = sign(context, 'root', staged, body, state.root.document) as Staged['root'];
  }
  const comingTargets = change.targets ?? toResign(state, staged);
  if (comingTargets !== undefined) {
    const version = Math.max(state.targets.document.signed.version, floor.targets ?? 0) + 1;
    const { targets, delegations } = comingTargets;
    const body: TargetsBody = { _type: 'targets', ...head('targets', version, now), targets, delegations };
    if (change.serverKeys !== undefined) first.push(lists.add(change.serverKeys));
    staged.targets = sign(context, 'targets', staged, body, state.targets.document) as Staged['targets'];
  }
  return { staged, change, first };
}

/** The next consistent set, what waits beside it, and how both are written down. Throws TufError. */
export function settle(
  { state: before, staged: current, keys, now }: TrustContext,
  { staged, change, first }: Prepared,
): { after: TrustState; left: Staged; writes: TrustWrite[] } {
  const ready = promotable(before, staged);
  const root = ready.root === null ? before.root : publish('root', ready.root);
  const targets = ready.targets === null ? before.targets : publish('targets', ready.targets);
  if (!signedUnder(root.document.signed, 'targets', targets.document)) {
    throw new TufError(
      'TUF_REPOSITORY_INVALID',
      'no targets is signed as the root asks; restore the tuf folder from a backup',
    );
  }
  const certificates = change.certificates ?? before.certified.document.signed.targets;
  const after = nextState(before, { root, targets, certificates }, keys, now, change.floor);
  const left = stillStaged(staged, root, targets);
  // What people signed, and a new root with all that it needs, is written down before any of it is published: after a
  // crash the rest of it is found there.
  const held = ready.root !== null || current.root !== undefined || current.targets !== undefined;
  const waiting = held ? staged : left;
  const writes = [
    ...first,
    ...stagedWrites(current, waiting),
    ...trustWrites(before, after),
    ...stagedWrites(waiting, left),
  ];
  return { after, left, writes };
}

/** A root that gives `targets` to other keys needs a `targets` that these signed. */
function toResign(state: TrustState, staged: Staged): TrustChange['targets'] | undefined {
  const root = staged.root?.signed;
  if (root === undefined || signedUnder(root, 'targets', state.targets.document)) return undefined;
  const wanted = root.roles.targets;
  const waiting = staged.targets;
  if (waiting === undefined) return state.targets.document.signed;
  return isDeepStrictEqual(waiting.signers, [wanted]) ? undefined : waiting.signed;
}

/** Signs with the keys at hand. */
function sign(
  { state, keys, lists }: TrustContext,
  role: StagedRole,
  staged: Staged,
  signed: RootBody | TargetsBody,
  previous: StagedDocument['previous'],
): StagedDocument {
  const signers: RoleKeys[] = signersOf(
    state,
    role === 'root' ? { root: { signed: signed as RootBody } } : staged,
    role,
  );
  const signing = keys.pick(signers.flatMap(({ keyids }) => keyids));
  const document = signWith({ signatures: [], signed }, signing);
  publish(role, document);
  const serverKeys = signed._type === 'targets' ? { serverKeys: lists.pems(signed) } : {};
  return { ...document, previous, signers, ...serverKeys } as StagedDocument;
}

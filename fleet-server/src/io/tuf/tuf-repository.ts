import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { OfferedSignatures } from '../../offered-signatures.js';
import type { Listing, Now, SignedMetadata, TargetRepository } from '../../ports.js';
import { head, sha256 } from './bodies.js';
import { firstState, type OfflineSetup } from './first-state.js';
import type { KeyFolder } from './key-folder.js';
import type { RoleKeys, RootBody, TargetsBody } from './metadata-schema.js';
import { nextState, publish } from './next-state.js';
import { checkOffer } from './offer.js';
import { ServerKeyLists } from './server-key-lists.js';
import { signWith } from './signed-document.js';
import { StagedFiles } from './staged-files.js';
import {
  knownKeys,
  promotable,
  type Staged,
  type StagedDocument,
  type StagedRole,
  signersOf,
  stillStaged,
  type WaitingRole,
  waitingRoles,
} from './staging.js';
import { listedSize, listingChange, renewalChange, type TrustChange, trustWarnings } from './trust-change.js';
import { diskWriter, TrustFiles, type TrustWriter } from './trust-files.js';
import { type Published, signedUnder, type TrustState, type TufVersions, versionsOf } from './trust-state.js';
import { TufError } from './tuf-error.js';

export interface TufOptions {
  directory: string;
  keys: KeyFolder;
  now: Now;
  writer?: TrustWriter;
}

/**
 * The TUF repository of a fleet. A change of `root` or `targets` whose keys are not all at hand is staged: it waits, written
 * down, for signatures, and everything else goes on. One caller at a time.
 */
export class TufRepository implements TargetRepository {
  readonly #files: TrustFiles;
  readonly #stagedFiles: StagedFiles;
  readonly #keys: KeyFolder;
  readonly #now: Now;
  #state: TrustState;
  #roots: Published<RootBody>[];
  #staged: Staged;
  readonly #lists: ServerKeyLists;
  /** What was replaced last: a board may be between two versions. */
  #previous: Partial<Record<'targets' | 'certified' | 'snapshot', SignedMetadata>> = {};

  private constructor(options: TufOptions, state: TrustState, roots: Published<RootBody>[], staged: Staged) {
    const writer = options.writer ?? diskWriter;
    this.#files = new TrustFiles(options.directory, writer);
    this.#stagedFiles = new StagedFiles(join(options.directory, 'staged'), writer);
    this.#lists = new ServerKeyLists(this.#files);
    this.#keys = options.keys;
    this.#now = options.now;
    this.#state = state;
    this.#roots = roots;
    this.#staged = staged;
  }

  /** Makes the first version of each role, unless a complete repository is there. */
  static async create(options: TufOptions, setup: OfflineSetup): Promise<void> {
    const files = new TrustFiles(options.directory, options.writer);
    if (await files.isThere()) return;
    const { state, serverKeys } = firstState(options.keys, setup, options.now());
    await files.writeServerKeys(serverKeys);
    await files.create(state);
  }

  static isThere(directory: string): Promise<boolean> {
    return new TrustFiles(directory).isThere();
  }

  /** Loads and verifies a repository, and ends what a crash cut short. Throws TufError. */
  static async open(options: TufOptions): Promise<TufRepository> {
    const writer = options.writer ?? diskWriter;
    const { state, roots } = await new TrustFiles(options.directory, writer).load();
    const found = await new StagedFiles(join(options.directory, 'staged'), writer).load();
    const repository = new TufRepository(options, state, roots, found);
    const current = stillStaged(found, state.root, state.targets);
    await repository.#lists.load(state.targets.document.signed);
    await repository.#lists.load(current.targets?.signed);
    await repository.#stagedFiles.save(found, current);
    repository.#staged = current;
    await repository.change({});
    return repository;
  }

  async publishListing(listing: Listing): Promise<boolean> {
    return this.change(listingChange(this.#state, this.#staged, listing, this.#now()));
  }

  /** Signs anew what comes near its end; stages what only people can sign. Returns whether something was published. */
  async renew(): Promise<boolean> {
    return this.change(renewalChange(this.#state, this.#staged, (role) => this.isOffline(role), this.#now()));
  }

  /**
   * Takes a change: what can be signed here is published at once, the rest is staged. Online roles are renewed on the way.
   * Returns whether something was published. Throws TufError.
   */
  async change(change: TrustChange): Promise<boolean> {
    const now = this.#now();
    const { floor = {} } = change;
    const staged: Staged = { ...this.#staged };
    if (change.unstage === true) delete staged.targets;
    if (change.root !== undefined) {
      const version = this.#state.root.document.signed.version + 1;
      const { keys, roles } = change.root;
      const body: RootBody = { _type: 'root', ...head('root', version, now), consistent_snapshot: true, keys, roles };
      staged.root = this.#sign('root', staged, body, this.#state.root.document) as Staged['root'];
    }
    const comingTargets = change.targets ?? this.#toResign(staged);
    if (comingTargets !== undefined) {
      const version = Math.max(this.#state.targets.document.signed.version, floor.targets ?? 0) + 1;
      const { targets, delegations } = comingTargets;
      const body: TargetsBody = { _type: 'targets', ...head('targets', version, now), targets, delegations };
      if (change.serverKeys !== undefined) await this.#lists.add(change.serverKeys);
      staged.targets = this.#sign('targets', staged, body, this.#state.targets.document) as Staged['targets'];
    }
    return this.#settle(staged, change, now);
  }

  /** Adds signatures that people made elsewhere; publishes what is complete. Throws TufError, and then keeps none of them. */
  async accept({ signatures }: OfferedSignatures): Promise<boolean> {
    const staged = checkOffer(this.#staged, knownKeys(this.#state, this.#staged), signatures);
    return this.#settle(staged, {}, this.#now());
  }

  /**
   * After a restore from a backup: every version from now on is above these, which boards have seen. Boards refuse versions
   * that go back (TUF 1.0.31, 5.4.3, 5.5.5).
   */
  async continueAbove(floor: Partial<Omit<TufVersions, 'root'>>): Promise<boolean> {
    const behind = (floor.targets ?? 0) >= this.#state.targets.document.signed.version;
    return this.change({ floor, ...(behind ? { targets: this.#comingTargets() } : {}) });
  }

  /** Are fewer private keys here than the role needs? */
  isOffline(role: StagedRole): boolean {
    const { keyids, threshold } = this.#state.root.document.signed.roles[role];
    return this.#keys.pick(keyids).length < threshold;
  }

  get state(): TrustState {
    return this.#state;
  }

  get staged(): Staged {
    return this.#staged;
  }

  get keys(): KeyFolder {
    return this.#keys;
  }

  waiting(): WaitingRole[] {
    return waitingRoles(this.#state, this.#staged);
  }

  isPublished(path: string): boolean {
    return this.#state.targets.document.signed.targets[path] !== undefined;
  }

  sizeWith(added: Listing): number {
    return listedSize(this.#state, this.#staged, added);
  }

  warnings(): string[] {
    return trustWarnings(this.#state, this.waiting(), (role) => this.isOffline(role), this.#now());
  }

  serverKeys(): { pems: string[]; bytes: Buffer; sha256: string } {
    const { signed } = this.#state.targets.document;
    const bytes = this.#lists.bytes(signed);
    return { pems: this.#lists.pems(signed), bytes, sha256: sha256(bytes) };
  }

  /** Keys of desired states (PEM) as they shall be: what waits for signatures counts. */
  comingServerKeys(): string[] {
    return this.#lists.pems(this.#comingTargets());
  }

  serverKeyIds(): string[] {
    return this.#lists.keyids(this.#state.targets.document.signed);
  }

  comingServerKeyIds(): string[] {
    return this.#lists.keyids(this.#comingTargets());
  }

  /** Private keys that sign desired states: those that boards know, and those that they are about to hear of. */
  desiredKeys(): KeyObject[] {
    const ids = [...this.serverKeyIds(), ...this.comingServerKeyIds()];
    return this.#keys.pick([...new Set(ids)]).map(({ privateKey }) => privateKey);
  }

  metadata(): SignedMetadata[] {
    const roots = this.#roots.map(({ document, bytes }) => ({
      role: 'root' as const,
      version: document.signed.version,
      bytes,
    }));
    const present = (['targets', 'certified', 'snapshot', 'timestamp'] as const).map((role) => this.#present(role));
    return [...roots, ...Object.values(this.#previous), ...present];
  }

  versions(): TufVersions {
    return versionsOf(this.#state);
  }

  rootText(): string {
    return this.#state.root.bytes.toString();
  }

  /** A root that gives `targets` to other keys needs a `targets` that these signed. */
  #toResign(staged: Staged): TrustChange['targets'] | undefined {
    const root = staged.root?.signed;
    if (root === undefined || signedUnder(root, 'targets', this.#state.targets.document)) return undefined;
    const wanted = root.roles.targets;
    const waiting = staged.targets;
    if (waiting === undefined) return this.#state.targets.document.signed;
    return isDeepStrictEqual(waiting.signers, [wanted]) ? undefined : waiting.signed;
  }

  /** Signs with the keys at hand. */
  #sign(
    role: StagedRole,
    staged: Staged,
    signed: RootBody | TargetsBody,
    previous: StagedDocument['previous'],
  ): StagedDocument {
    const signers: RoleKeys[] = signersOf(
      this.#state,
      role === 'root' ? { root: { signed: signed as RootBody } } : staged,
      role,
    );
    const keys = this.#keys.pick(signers.flatMap(({ keyids }) => keyids));
    const document = signWith({ signatures: [], signed }, keys);
    publish(role, document);
    const serverKeys = signed._type === 'targets' ? { serverKeys: this.#lists.pems(signed) } : {};
    return { ...document, previous, signers, ...serverKeys } as StagedDocument;
  }

  async #settle(staged: Staged, { certificates, floor }: TrustChange, now: Date): Promise<boolean> {
    const before = this.#state;
    const ready = promotable(before, staged);
    const root = ready.root === null ? before.root : publish('root', ready.root);
    const targets = ready.targets === null ? before.targets : publish('targets', ready.targets);
    if (!signedUnder(root.document.signed, 'targets', targets.document)) {
      throw new TufError(
        'TUF_REPOSITORY_INVALID',
        'no targets is signed as the root asks; restore the tuf folder from a backup',
      );
    }
    const wanted = { root, targets, certificates: certificates ?? before.certified.document.signed.targets };
    const after = nextState(before, wanted, this.#keys, now, floor);
    const left = stillStaged(staged, root, targets);
    // What people signed, and a new root with all that it needs, is written down before any of it is published: after a
    // crash the rest of it is found there.
    const held = ready.root !== null || this.#staged.root !== undefined || this.#staged.targets !== undefined;
    await this.#stage(held ? staged : left);
    await this.#files.commit(before, after);
    this.#state = after;
    await this.#stage(left);
    if (after.timestamp === before.timestamp && after.root === before.root) return false;
    if (after.root !== before.root) this.#roots = [...this.#roots, after.root];
    for (const role of ['targets', 'certified', 'snapshot'] as const) {
      if (after[role] === before[role]) continue;
      const { version } = before[role].document.signed;
      this.#previous[role] = { role, version, bytes: before[role].bytes };
    }
    await this.#retire(before);
    const kept = this.metadata().map(({ role, version }) => `${version}.${role}.json`);
    await this.#files.sweep(
      new Set(kept),
      this.#lists.hashes(after.targets.document.signed, this.#staged.targets?.signed),
    );
    return true;
  }

  async #stage(after: Staged): Promise<void> {
    await this.#stagedFiles.save(this.#staged, after);
    this.#staged = after;
  }

  /** Deletes private keys that counted before and count no longer: what is not there cannot be stolen. */
  async #retire(before: TrustState): Promise<void> {
    const counting = this.countingKeys();
    for (const keyid of this.#keysOf(before.root.document.signed, before.targets.document.signed))
      if (!counting.has(keyid)) await this.#keys.remove(keyid);
  }

  /** Ids of all keys that count now or in what is staged. */
  countingKeys(): Set<string> {
    const { root, targets } = this.#state;
    const present = this.#keysOf(root.document.signed, targets.document.signed);
    return new Set([...present, ...this.#keysOf(this.#staged.root?.signed, this.#staged.targets?.signed)]);
  }

  #keysOf(root: RootBody | undefined, targets: TargetsBody | undefined): string[] {
    const lists = targets === undefined ? [] : this.#lists.keyids(targets);
    return [...Object.keys(root?.keys ?? {}), ...Object.keys(targets?.delegations?.keys ?? {}), ...lists];
  }

  #comingTargets(): TargetsBody {
    return (this.#staged.targets ?? this.#state.targets.document).signed;
  }

  #present(role: 'targets' | 'certified' | 'snapshot' | 'timestamp'): SignedMetadata {
    const { document, bytes } = this.#state[role];
    return { role, version: document.signed.version, bytes };
  }
}

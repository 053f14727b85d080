import type { KeyObject } from 'node:crypto';
import type { OfferedSignatures } from '../../offered-signatures.js';
import type { Listing, Now, SignedMetadata, TargetRepository } from '../../ports.js';
import { sha256 } from './bodies.js';
import { firstState, type OfflineSetup } from './first-state.js';
import type { KeyFolder } from './key-folder.js';
import type { RootBody, TargetsBody } from './metadata-schema.js';
import { checkOffer } from './offer.js';
import { ServerKeyLists } from './server-key-lists.js';
import { knownKeys, type Staged, type StagedRole, type WaitingRole, waitingRoles } from './staging.js';
import { listedSize, listingChange, renewalChange, type TrustChange, trustWarnings } from './trust-change.js';
import { type Prepared, prepare, settle } from './trust-decision.js';
import { isTrustThere, serverKeysName, sweepWrites, trustWrites } from './trust-files.js';
import { TrustLedger } from './trust-ledger.js';
import { type Published, type TrustState, type TufVersions, versionsOf } from './trust-state.js';
import type { TrustStorage } from './trust-storage.js';
import { TufError } from './tuf-error.js';

export interface TufOptions {
  storage: TrustStorage;
  keys: KeyFolder;
  now: Now;
}

/** How often a change is made anew because somebody else was faster. */
const ATTEMPTS = 10;

/**
 * The TUF repository of a fleet. A change of `root` or `targets` whose keys are not all at hand is staged: it waits, written
 * down, for signatures, and everything else goes on. One caller at a time in a process; processes that share the storage take
 * each other's changes over before they make their own.
 */
export class TufRepository implements TargetRepository {
  readonly #ledger: TrustLedger;
  readonly #keys: KeyFolder;
  readonly #now: Now;
  #state!: TrustState;
  #roots: Published<RootBody>[] = [];
  #staged: Staged = {};
  readonly #lists = new ServerKeyLists();
  /** What was replaced last: a board may be between two versions. */
  #previous: Partial<Record<'targets' | 'certified' | 'snapshot', SignedMetadata>> = {};

  private constructor({ storage, keys, now }: TufOptions) {
    this.#ledger = new TrustLedger(storage);
    this.#keys = keys;
    this.#now = now;
  }

  /** Makes the first version of each role, unless a complete repository is there. */
  static async create({ storage, keys, now }: TufOptions, setup: OfflineSetup): Promise<void> {
    const { revision, files } = await storage.load();
    if (isTrustThere(files)) return;
    const { state, serverKeys } = firstState(keys, setup, now());
    const list = { name: serverKeysName(sha256(serverKeys)), bytes: serverKeys };
    if ((await storage.apply([list, ...trustWrites(null, state)], revision)) === null)
      throw new TufError('REQUEST_UNFIT', `${storage.place}: somebody else makes a repository there; try again`);
  }

  static async isThere(storage: TrustStorage): Promise<boolean> {
    return isTrustThere((await storage.load()).files);
  }

  /** Loads and verifies a repository, and ends what a crash cut short. Throws TufError. */
  static async open(options: TufOptions): Promise<TufRepository> {
    const repository = new TufRepository(options);
    await repository.#apply(() => ({}));
    return repository;
  }

  /** Takes over what others that share the storage changed. Returns whether there is something new to publish. Throws TufError. */
  async refresh(): Promise<boolean> {
    if (!(await this.#ledger.isBehind())) return false;
    const { state, roots, staged } = await this.#ledger.load(this.#lists);
    const before = this.#state as TrustState | undefined;
    this.#staged = staged;
    if (before === undefined) {
      this.#state = state;
      this.#roots = roots;
      return true;
    }
    const changed = !before.timestamp.bytes.equals(state.timestamp.bytes) || roots.length !== this.#roots.length;
    if (changed) this.#adopt(before, state, roots);
    return changed;
  }

  isBehind(): Promise<boolean> {
    return this.#ledger.isBehind();
  }

  async publishListing(listing: Listing): Promise<boolean> {
    return this.#apply(() => listingChange(this.#state, this.#staged, listing, this.#now()));
  }

  /** Signs anew what comes near its end; stages what only people can sign. Returns whether something was published. */
  async renew(): Promise<boolean> {
    const isOffline = (role: StagedRole) => this.isOffline(role);
    return this.#apply(() => renewalChange(this.#state, this.#staged, isOffline, this.#now()));
  }

  /**
   * Takes a change: what can be signed here is published at once, the rest is staged. Online roles are renewed on the way.
   * Returns whether something was published. Throws TufError.
   */
  async change(change: TrustChange): Promise<boolean> {
    // It was decided by what is there now: when that moves, it is no longer what was meant.
    return this.#apply(() => change, 1);
  }

  /** Adds signatures that people made elsewhere; publishes what is complete. Throws TufError, and then keeps none of them. */
  async accept({ signatures }: OfferedSignatures): Promise<boolean> {
    return this.#apply(() => {
      const staged = checkOffer(this.#staged, knownKeys(this.#state, this.#staged), signatures);
      return { staged, change: {}, first: [] };
    });
  }

  /**
   * After a restore from a backup: every version from now on is above these, which boards have seen. Boards refuse versions
   * that go back (TUF 1.0.31, 5.4.3, 5.5.5).
   */
  async continueAbove(floor: Partial<Omit<TufVersions, 'root'>>): Promise<boolean> {
    return this.#apply(() => {
      const behind = (floor.targets ?? 0) >= this.#state.targets.document.signed.version;
      return { floor, ...(behind ? { targets: this.#comingTargets() } : {}) };
    });
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

  /** Decides by what is there now, and again when somebody else was faster. Returns whether something was published. */
  async #apply(decide: () => TrustChange | Prepared, attempts = ATTEMPTS): Promise<boolean> {
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      const refreshed = await this.refresh();
      const decided = decide();
      const context = {
        state: this.#state,
        staged: this.#staged,
        keys: this.#keys,
        lists: this.#lists,
        now: this.#now(),
      };
      const { after, left, writes } = settle(context, 'first' in decided ? decided : prepare(context, decided));
      const before = this.#state;
      if (!(await this.#ledger.write(writes))) continue;
      this.#staged = left;
      if (after.timestamp === before.timestamp && after.root === before.root) return refreshed;
      this.#adopt(before, after, after.root === before.root ? this.#roots : [...this.#roots, after.root]);
      await this.#retire(before);
      await this.#sweep();
      return true;
    }
    throw new TufError('REQUEST_UNFIT', `${this.#ledger.place}: others changed it at the same time; try again`);
  }

  #adopt(before: TrustState, after: TrustState, roots: Published<RootBody>[]): void {
    this.#state = after;
    this.#roots = roots;
    for (const role of ['targets', 'certified', 'snapshot'] as const) {
      if (after[role].bytes.equals(before[role].bytes)) continue;
      const { version } = before[role].document.signed;
      this.#previous[role] = { role, version, bytes: before[role].bytes };
    }
  }

  async #sweep(): Promise<void> {
    const kept = this.metadata().map(({ role, version }) => `${version}.${role}.json`);
    const lists = this.#lists.hashes(this.#state.targets.document.signed, this.#staged.targets?.signed);
    await this.#ledger.write(sweepWrites(this.#ledger.names, new Set(kept), lists));
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

import type { ServerKeyLists } from './server-key-lists.js';
import { loadStaged } from './staged-files.js';
import { type Staged, stillStaged } from './staging.js';
import { type LoadedTrust, TrustFiles } from './trust-files.js';
import type { TrustStorage, TrustWrite } from './trust-storage.js';

/** What is written down, as far as this process knows: it writes only on top of what it has seen. */
export class TrustLedger {
  /** Null: what is there must be loaded anew. */
  #revision: number | null = null;
  #names = new Set<string>();

  constructor(private readonly storage: TrustStorage) {}

  /** For messages. */
  get place(): string {
    return this.storage.place;
  }

  /** Names of the files that are there. */
  get names(): Iterable<string> {
    return this.#names;
  }

  /** Has somebody else written, or did a write of ours fail half-way? */
  async isBehind(): Promise<boolean> {
    return this.#revision === null || (await this.storage.revision()) !== this.#revision;
  }

  /** Loads and checks everything; lists of server keys that count go to `lists`. Throws TufError. */
  async load(lists: ServerKeyLists): Promise<LoadedTrust & { staged: Staged }> {
    const { revision, files } = await this.storage.load();
    const trust = new TrustFiles(this.place, files);
    const loaded = trust.load();
    const staged = loadStaged(this.place, files);
    const { root, targets } = loaded.state;
    lists.load(trust, targets.document.signed);
    lists.load(trust, stillStaged(staged, root, targets).targets?.signed);
    this.#revision = revision;
    this.#names = new Set(files.keys());
    return { ...loaded, staged };
  }

  /** False: somebody else was faster, and nothing was written. */
  async write(writes: readonly TrustWrite[]): Promise<boolean> {
    if (writes.length === 0) return true;
    const revision = this.#revision as number;
    // Until it is known how it ended.
    this.#revision = null;
    const next = await this.storage.apply(writes, revision);
    if (next === null) return false;
    for (const { name, bytes } of writes) {
      if (bytes === null) this.#names.delete(name);
      else this.#names.add(name);
    }
    this.#revision = next;
    return true;
  }
}

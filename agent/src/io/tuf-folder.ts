import { dirname, join } from 'node:path';
import type { Log } from '../update/ports.js';
import { writeFileAtomic } from './atomic-file.js';
import type { FileSystem } from './file-system.js';
import { nodeFileSystem } from './node-file-system.js';
import { EMPTY_MEMORY, parseMemory, type TufMemory } from './tuf-memory.js';

const MEMORY = 'vigie.json';
const ROOT = 'root.json';

export interface TufFolderOptions {
  /** The trusted metadata. `{directory}.old` and `{directory}.new` belong to it. */
  directory: string;
  /** The root the board was enrolled with: the last resort. */
  enrolledRoot: string;
  /** Is the `root.json` in this folder a root that is signed by itself? */
  soundRoot(directory: string): boolean;
  log: Log;
  files?: FileSystem;
}

/**
 * The trusted metadata of a board. It is never written in place: an update works on a scratch copy, whose files are on the
 * disk before two renames put it in the trusted folder's place. Whatever a crash leaves, `recover` finds the old state or the new.
 */
export class TufFolder {
  readonly scratch: string;
  private readonly old: string;
  private readonly files: FileSystem;

  constructor(private readonly options: TufFolderOptions) {
    this.scratch = `${options.directory}.new`;
    this.old = `${options.directory}.old`;
    this.files = options.files ?? nodeFileSystem;
  }

  /** Brings a folder with a sound root back, whatever a crash or a bad disk left. */
  async recover(): Promise<void> {
    const { directory, soundRoot, log, enrolledRoot } = this.options;
    const { files } = this;
    const present = await this.exists(directory);
    if (present && soundRoot(directory)) return;
    if ((await this.exists(this.old)) && soundRoot(this.old)) {
      // Between the two renames; or the new folder was torn, and the one before it is better than the enrolment's root.
      if (present) await files.rm(directory);
      await files.rename(this.old, directory);
      await files.syncDirectory(dirname(directory));
      return;
    }
    if (present) log.error({}, 'trusted TUF root is damaged; back to the root of the enrolment');
    await files.mkdir(directory, 0o700);
    // The other metadata stays: what is not signed by the chain of this root is passed over, the rest protects from rollback.
    await writeFileAtomic(join(directory, ROOT), enrolledRoot, 0o600, files);
    await files.syncDirectory(dirname(directory));
  }

  /** What is remembered beside the metadata; empty when it is damaged or was never written. */
  async memory(): Promise<TufMemory> {
    const path = join(this.options.directory, MEMORY);
    if (!(await this.exists(path))) return EMPTY_MEMORY;
    const memory = parseMemory((await this.files.readFile(path)).toString('utf8'));
    if (memory === null) this.options.log.error({ path }, 'what was remembered beside the TUF metadata is damaged');
    return memory ?? EMPTY_MEMORY;
  }

  /** A copy to work on. */
  async begin(): Promise<string> {
    await this.discard();
    await this.files.mkdir(this.scratch, 0o700);
    for (const name of await this.names(this.options.directory)) {
      await this.files.copyFile(join(this.options.directory, name), join(this.scratch, name));
    }
    return this.scratch;
  }

  /** Puts the scratch copy in the trusted folder's place if it differs. */
  async commit(memory: TufMemory): Promise<void> {
    const { directory } = this.options;
    const { files, scratch, old } = this;
    await this.write(join(scratch, MEMORY), `${JSON.stringify(memory)}\n`);
    if (await this.same()) return this.discard();
    for (const name of await this.names(scratch)) await this.sync(join(scratch, name));
    await files.syncDirectory(scratch);
    await files.rm(old);
    await files.rename(directory, old);
    await files.rename(scratch, directory);
    await files.syncDirectory(dirname(directory));
    await files.rm(old);
  }

  async discard(): Promise<void> {
    await this.files.rm(this.scratch);
  }

  private async same(): Promise<boolean> {
    const { directory } = this.options;
    const [before, after] = [await this.names(directory), await this.names(this.scratch)];
    if (before.join('\n') !== after.join('\n')) return false;
    for (const name of after) {
      const before = await this.files.readFile(join(directory, name));
      if (!before.equals(await this.files.readFile(join(this.scratch, name)))) return false;
    }
    return true;
  }

  private async names(directory: string): Promise<string[]> {
    const entries = await this.files.list(directory);
    const files = entries.filter((entry) => !entry.directory && entry.name.endsWith('.json'));
    return files.map(({ name }) => name).sort();
  }

  private async exists(path: string): Promise<boolean> {
    try {
      await this.files.stat(path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  }

  private async write(path: string, content: string): Promise<void> {
    await this.files.rm(path);
    const handle = await this.files.open(path, 'wx', 0o600);
    await handle.writeFile(content).finally(() => handle.close());
  }

  private async sync(path: string): Promise<void> {
    const handle = await this.files.open(path, 'r');
    await handle.sync().finally(() => handle.close());
  }
}

import { join } from 'node:path';
import { EMPTY_STATE, type InstallState, parseState } from '../update/journal.js';
import type { StateStore } from '../update/ports.js';
import { writeFileAtomic } from './atomic-file.js';
import type { FileSystem } from './file-system.js';
import { nodeFileSystem } from './node-file-system.js';

export type LoadedState =
  | { state: InstallState; found: 'none' | 'valid' }
  | { state: InstallState; found: 'damaged'; detail: string };

/** `<data>/state.json`: slots and install journal in one file, so that a commit is one rename. */
export class InstallJournal implements StateStore {
  private readonly path: string;
  private tail: Promise<void> = Promise.resolve();

  constructor(
    private readonly dataDirectory: string,
    private readonly files: FileSystem = nodeFileSystem,
  ) {
    this.path = join(dataDirectory, 'state.json');
  }

  /** Reads the state. A file that cannot be read as one is set aside as `state.json.damaged`. */
  async load(): Promise<LoadedState> {
    await this.files.mkdir(this.dataDirectory).catch(() => {});
    let text: string;
    try {
      text = (await this.files.readFile(this.path)).toString('utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { state: EMPTY_STATE, found: 'none' };
      // A disk that cannot be read now may be read later: nothing is moved, and the board must see meanwhile.
      return { state: EMPTY_STATE, found: 'damaged', detail: (error as Error).message };
    }
    try {
      return { state: parseState(JSON.parse(text)), found: 'valid' };
    } catch (error) {
      await this.files.rename(this.path, `${this.path}.damaged`).catch(() => {});
      return { state: EMPTY_STATE, found: 'damaged', detail: (error as Error).message };
    }
  }

  save(state: InstallState): Promise<void> {
    const done = this.tail.then(() => writeFileAtomic(this.path, `${JSON.stringify(state)}\n`, 0o644, this.files));
    this.tail = done.catch(() => {});
    return done;
  }
}

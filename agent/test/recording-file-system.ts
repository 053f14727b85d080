import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { FileSystem, OpenFile, OpenFlags } from '../src/io/file-system.js';
import { nodeFileSystem } from '../src/io/node-file-system.js';
import {
  CUTS,
  type Cut,
  type DiskModel,
  type DiskOperation,
  fingerprint,
  DiskModel as Model,
  type Tree,
} from './disk-model.js';

export interface CutState {
  /** Operations before the cut. */
  index: number;
  cut: Cut;
  tree: Tree;
  /** The same for disks that hold the same. */
  key: string;
}

/**
 * A real folder whose every change is written down, so that the power can be cut after each, and whose operations can be made to
 * fail. What a library does to the folder past this port is noticed when its folder is synced or moved.
 */
export class RecordingFileSystem implements FileSystem {
  readonly operations: DiskOperation[] = [];
  /** Changing operations so far, those that failed included. */
  count = 0;
  /** Which operation fails with what; null: it does not. Reads count as number -1. */
  fault: ((count: number, kind: string, path: string) => 'EIO' | 'ENOSPC' | null) | null = null;
  private readonly initial: Tree;
  private readonly model: DiskModel;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(readonly root: string) {
    this.initial = treeOf(root);
    this.model = new Model(this.initial);
  }

  /** Every disk that a power cut at any moment may leave, in order; many are alike. */
  *cuts(kinds: readonly Cut[] = CUTS): Generator<CutState> {
    const replay = new Model(this.initial);
    for (let index = 0; ; index += 1) {
      for (const cut of kinds) {
        const tree = replay.after(cut);
        yield { index, cut, tree, key: fingerprint(tree) };
      }
      if (index === this.operations.length) return;
      replay.apply(this.operations[index]);
    }
  }

  /** The disk that a cut right now would leave. */
  now(cut: Cut): Tree {
    return this.model.after(cut);
  }

  open(path: string, flags: OpenFlags, mode?: number): Promise<OpenFile> {
    return this.alone(async () => {
      const at = this.inside(path);
      if (flags === 'r') this.reads('open', path);
      else this.changes('open', path);
      const handle = await nodeFileSystem.open(path, flags, mode);
      if (at === null) return handle;
      if (flags !== 'r' && this.model.node(at) === undefined) this.record({ do: 'create', path: at });
      return this.recorded(handle, at, path);
    });
  }

  async readFile(path: string): Promise<Buffer> {
    this.reads('readFile', path);
    return nodeFileSystem.readFile(path);
  }

  async list(path: string): Promise<{ name: string; directory: boolean }[]> {
    this.reads('list', path);
    return nodeFileSystem.list(path);
  }

  async stat(path: string): Promise<{ size: number; directory: boolean }> {
    this.reads('stat', path);
    return nodeFileSystem.stat(path);
  }

  freeBytes(path: string): Promise<number> {
    return nodeFileSystem.freeBytes(path);
  }

  mkdir(path: string, mode?: number): Promise<void> {
    return this.alone(async () => {
      const at = this.inside(path);
      this.changes('mkdir', path);
      await nodeFileSystem.mkdir(path, mode);
      if (at === null) return;
      let made = '';
      for (const name of at === '' ? [] : at.split('/')) {
        made = made === '' ? name : `${made}/${name}`;
        if (this.model.node(made) === undefined) this.record({ do: 'mkdir', path: made });
      }
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.alone(async () => {
      const [source, target] = [this.inside(from), this.inside(to)];
      this.changes('rename', from);
      if (source !== null) this.observe(source);
      await nodeFileSystem.rename(from, to);
      if (source !== null && target !== null) this.record({ do: 'rename', path: source, to: target });
    });
  }

  rm(path: string): Promise<void> {
    return this.alone(async () => {
      const at = this.inside(path);
      this.changes('rm', path);
      await nodeFileSystem.rm(path);
      if (at !== null && this.model.node(at) !== undefined) this.record({ do: 'remove', path: at });
    });
  }

  copyFile(from: string, to: string): Promise<void> {
    return this.alone(async () => {
      const at = this.inside(to);
      this.changes('copyFile', to);
      await nodeFileSystem.copyFile(from, to);
      if (at !== null) this.observe(at);
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.alone(async () => {
      const at = this.inside(path);
      this.changes('syncDirectory', path);
      await nodeFileSystem.syncDirectory(path);
      if (at === null) return;
      this.observe(at);
      this.record({ do: 'sync-directory', path: at });
    });
  }

  private recorded(handle: OpenFile, path: string, full: string): OpenFile {
    // A handle goes with its file, whatever that is called by now.
    const node = this.model.node(path);
    const name = () => (this.model.node(path) === node ? path : null);
    const note = (operation: (path: string) => DiskOperation) => {
      const at = name();
      if (at !== null) this.record(operation(at));
    };
    const append = (content: string | Uint8Array, offset: number) => {
      const bytes = Buffer.from(content as Uint8Array);
      note((at) => ({ do: 'write', path: at, offset, bytes }));
    };
    const sizeNow = () => {
      const file = this.model.node(path);
      return file?.kind === 'file' ? file.now.length : 0;
    };
    const partly = async (kind: string, content: string | Uint8Array, write: (part: Uint8Array) => Promise<void>) => {
      const bytes = Buffer.from(content as Uint8Array);
      const failure = this.failure(kind, full);
      await write(failure === null ? bytes : bytes.subarray(0, bytes.length >> 1));
      if (failure !== null) throw failure;
    };
    return {
      read: (buffer, offset, length, position) => {
        this.reads('read', full);
        return handle.read(buffer, offset, length, position);
      },
      write: (buffer, offset, length, position) =>
        this.alone(async () => {
          this.changes('write', full);
          const { bytesWritten } = await handle.write(buffer, offset, length, position);
          append(Buffer.from(buffer.subarray(offset, offset + bytesWritten)), position);
          return { bytesWritten };
        }),
      writeFile: (content) =>
        this.alone(() =>
          partly('writeFile', content, async (part) => {
            await handle.writeFile(part);
            append(part, 0);
          }),
        ),
      appendFile: (content) =>
        this.alone(() =>
          partly('appendFile', content, async (part) => {
            const offset = sizeNow();
            await handle.appendFile(part);
            append(part, offset);
          }),
        ),
      truncate: (size) =>
        this.alone(async () => {
          this.changes('truncate', full);
          await handle.truncate(size);
          note((at) => ({ do: 'truncate', path: at, size }));
        }),
      stat: () => handle.stat(),
      sync: () =>
        this.alone(async () => {
          this.changes('sync', full);
          await handle.sync();
          this.observe(path);
          note((at) => ({ do: 'sync', path: at }));
        }),
      datasync: () =>
        this.alone(async () => {
          this.changes('sync', full);
          await handle.datasync();
          note((at) => ({ do: 'sync', path: at }));
        }),
      close: () => handle.close(),
    };
  }

  /** One operation at a time: then the record has the order in which they were done. */
  private alone<T>(run: () => Promise<T>): Promise<T> {
    const done = this.tail.then(run);
    this.tail = done.catch(() => {});
    return done;
  }

  /** Takes up what was done to `path` past this port. */
  private observe(path: string): void {
    const real = treeOf(this.root, path);
    const held = this.model.node(path);
    for (const [name, bytes] of real) {
      const node = this.model.node(name);
      if (node === undefined) this.record({ do: bytes === null ? 'mkdir' : 'create', path: name });
      if (bytes === null) continue;
      const file = this.model.node(name);
      if (file?.kind !== 'file' || file.now.equals(bytes)) continue;
      if (file.now.length > bytes.length) this.record({ do: 'truncate', path: name, size: bytes.length });
      this.record({ do: 'write', path: name, offset: 0, bytes });
    }
    if (held?.kind !== 'folder') return;
    for (const name of held.now.keys()) {
      const full = path === '' ? name : `${path}/${name}`;
      if (!real.has(full)) this.record({ do: 'remove', path: full });
    }
  }

  private record(operation: DiskOperation): void {
    this.model.apply(operation);
    this.operations.push(operation);
  }

  private inside(path: string): string | null {
    const at = relative(this.root, path);
    return at.startsWith('..') ? null : at;
  }

  private changes(kind: string, path: string): void {
    const failure = this.failure(kind, path);
    if (failure !== null) throw failure;
  }

  private failure(kind: string, path: string): Error | null {
    if (this.inside(path) === null) return null;
    const code = this.fault?.(this.count, kind, path) ?? null;
    this.count += 1;
    return code === null ? null : Object.assign(new Error(`${code}: made to fail, ${kind} '${path}'`), { code });
  }

  private reads(kind: string, path: string): void {
    if (this.inside(path) === null) return;
    const code = this.fault?.(-1, kind, path) ?? null;
    // A full disk can be read.
    if (code === 'EIO') throw Object.assign(new Error(`EIO: made to fail, ${kind} '${path}'`), { code });
  }
}

/** What a real folder holds; paths relative to `root`. */
export function treeOf(root: string, below = ''): Tree {
  const tree = new Map<string, Buffer | null>();
  const walk = (at: string): void => {
    let entries: ReturnType<typeof readNames>;
    try {
      entries = readNames(join(root, at));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return;
      if (code !== 'ENOTDIR') throw error;
      tree.set(at, readFileSync(join(root, at)));
      return;
    }
    if (at !== '') tree.set(at, null);
    for (const name of entries) walk(at === '' ? name : `${at}/${name}`);
  };
  walk(below);
  return tree;
}

function readNames(path: string): string[] {
  return readdirSync(path);
}

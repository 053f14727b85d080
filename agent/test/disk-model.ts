import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** One operation that changes a disk; paths relative to the recorded folder, '' for itself. */
export type DiskOperation =
  | { do: 'create' | 'mkdir' | 'remove' | 'sync-directory'; path: string }
  | { do: 'write'; path: string; offset: number; bytes: Buffer }
  | { do: 'truncate'; path: string; size: number }
  | { do: 'sync'; path: string }
  | { do: 'rename'; path: string; to: string };

interface FileNode {
  kind: 'file';
  /** What the page cache holds, and what a power cut leaves for certain. */
  now: Buffer;
  durable: Buffer;
}

interface FolderNode {
  kind: 'folder';
  now: Map<string, Node>;
  durable: Map<string, Node>;
}

type Node = FileNode | FolderNode;

/** What a power cut may leave of what was not synced: names, and data; `torn`: half of it. */
export const CUTS = [
  { names: 'durable', data: 'durable' },
  { names: 'durable', data: 'now' },
  { names: 'now', data: 'durable' },
  { names: 'now', data: 'torn' },
  /** Also what a SIGKILL leaves: the page cache outlives the process. */
  { names: 'now', data: 'now' },
] as const;
export type Cut = (typeof CUTS)[number];

/** A folder's content: path → bytes; null for a folder. */
export type Tree = ReadonlyMap<string, Buffer | null>;

/**
 * A disk as POSIX promises it and no more: data survives a power cut from its file's fsync on, names from their folder's fsync on.
 * (Real file systems keep more; a program that is right on this one is right on them.)
 */
export class DiskModel {
  private readonly root: FolderNode = { kind: 'folder', now: new Map(), durable: new Map() };

  /** `initial` is on the disk for good. */
  constructor(initial: Tree) {
    for (const [path, bytes] of [...initial].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const node: Node =
        bytes === null
          ? { kind: 'folder', now: new Map(), durable: new Map() }
          : { kind: 'file', now: bytes, durable: bytes };
      const [folder, name] = this.parent(path);
      folder.now.set(name, node);
      folder.durable.set(name, node);
    }
  }

  apply(operation: DiskOperation): void {
    const { path } = operation;
    switch (operation.do) {
      case 'create':
        this.link(path, { kind: 'file', now: Buffer.alloc(0), durable: Buffer.alloc(0) });
        return;
      case 'mkdir':
        this.link(path, { kind: 'folder', now: new Map(), durable: new Map() });
        return;
      case 'remove': {
        const [folder, name] = this.parent(path);
        folder.now.delete(name);
        return;
      }
      case 'rename': {
        const [folder, name] = this.parent(path);
        const node = folder.now.get(name);
        if (node === undefined) throw new Error(`the model holds no ${path}`);
        folder.now.delete(name);
        this.link(operation.to, node);
        return;
      }
      case 'write': {
        const file = this.file(path);
        const bytes = Buffer.alloc(Math.max(file.now.length, operation.offset + operation.bytes.length));
        file.now.copy(bytes);
        operation.bytes.copy(bytes, operation.offset);
        file.now = bytes;
        return;
      }
      case 'truncate': {
        const file = this.file(path);
        const bytes = Buffer.alloc(operation.size);
        file.now.copy(bytes);
        file.now = bytes;
        return;
      }
      case 'sync': {
        const file = this.file(path);
        file.durable = file.now;
        return;
      }
      case 'sync-directory': {
        const folder = this.node(path);
        if (folder?.kind !== 'folder') throw new Error(`the model holds no folder ${path}`);
        folder.durable = new Map(folder.now);
        return;
      }
    }
  }

  /** What stands there now; undefined: nothing. */
  node(path: string): Node | undefined {
    let node: Node | undefined = this.root;
    for (const name of path === '' ? [] : path.split('/')) {
      node = node?.kind === 'folder' ? node.now.get(name) : undefined;
    }
    return node;
  }

  after(cut: Cut): Tree {
    const tree = new Map<string, Buffer | null>();
    const walk = (folder: FolderNode, prefix: string): void => {
      for (const [name, node] of cut.names === 'now' ? folder.now : folder.durable) {
        const path = prefix + name;
        if (node.kind === 'file') tree.set(path, dataAfter(node, cut.data));
        else {
          tree.set(path, null);
          walk(node, `${path}/`);
        }
      }
    };
    walk(this.root, '');
    return tree;
  }

  private link(path: string, node: Node): void {
    const [folder, name] = this.parent(path);
    folder.now.set(name, node);
  }

  private parent(path: string): [FolderNode, string] {
    const parts = path.split('/');
    const name = parts.pop() as string;
    const folder = this.node(parts.join('/'));
    if (folder?.kind !== 'folder') throw new Error(`the model holds no folder for ${path}`);
    return [folder, name];
  }

  private file(path: string): FileNode {
    const node = this.node(path);
    if (node?.kind !== 'file') throw new Error(`the model holds no file ${path}`);
    return node;
  }
}

function dataAfter({ now, durable }: FileNode, data: Cut['data']): Buffer {
  if (data === 'now' || now === durable) return now;
  if (data === 'durable') return durable;
  // The first half of what changed came through; the rest is as before, or zeros where nothing was.
  const torn = Buffer.alloc(now.length);
  durable.copy(torn);
  let first = 0;
  while (first < now.length && first < durable.length && now[first] === durable[first]) first += 1;
  now.copy(torn, first, first, first + Math.ceil((now.length - first) / 2));
  return torn;
}

const hashes = new WeakMap<Buffer, string>();

/** Two disks with the same fingerprint hold the same. */
export function fingerprint(tree: Tree): string {
  const hash = createHash('sha256');
  for (const [path, bytes] of [...tree].sort(([a], [b]) => (a < b ? -1 : 1))) {
    let content = 'folder';
    if (bytes !== null) {
      content = hashes.get(bytes) ?? createHash('sha256').update(bytes).digest('hex');
      hashes.set(bytes, content);
    }
    hash.update(`${path}\n${content}\n`);
  }
  return hash.digest('hex');
}

/** Writes a tree into an empty folder. */
export function materialise(tree: Tree, directory: string): void {
  for (const [path, bytes] of [...tree].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const full = join(directory, path);
    if (bytes === null) mkdirSync(full, { recursive: true });
    else {
      mkdirSync(dirname(full), { recursive: true });
      writeFileSync(full, bytes);
    }
  }
}

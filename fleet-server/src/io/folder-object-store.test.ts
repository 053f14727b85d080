import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderObjectStore } from './folder-object-store.js';

const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'vigie-blobs-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe('FolderObjectStore', () => {
  it('stores under the hash, privately, and gives back whole or in pieces', async () => {
    const store = await FolderObjectStore.open(root);
    const bytes = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 251));
    await store.put(sha(bytes), Readable.from([bytes.subarray(0, 400), bytes.subarray(400)]));
    await store.put(sha(bytes), bytes);
    expect((await store.get(sha(bytes))).equals(bytes)).toBe(true);
    const path = join(root, sha(bytes).slice(0, 2), sha(bytes));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const places = [
      { offset: 700, length: 200 },
      { offset: 0, length: 1 },
      { offset: 990, length: 20 },
    ];
    const pieces: Buffer[] = [];
    for await (const piece of store.pieces(sha(bytes), places)) pieces.push(piece);
    expect(pieces).toEqual([bytes.subarray(700, 900), bytes.subarray(0, 1), bytes.subarray(990)]);
  });

  it('keeps nothing of bytes that are not what they are called, or that break off', async () => {
    const store = await FolderObjectStore.open(root);
    const name = sha(Buffer.from('right'));
    await expect(store.put(name, Buffer.from('wrong'))).rejects.toThrow(RangeError);
    const torn = Readable.from(
      (async function* () {
        yield Buffer.from('ri');
        throw new Error('cut');
      })(),
    );
    await expect(store.put(name, torn)).rejects.toThrow('cut');
    await expect(store.get(name)).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
    await expect(store.get('../../etc/passwd')).rejects.toThrow(RangeError);
    expect(await readdir(join(root, 'incoming'))).toEqual([]);
  });

  it('clears at its start what a crash left', async () => {
    await FolderObjectStore.open(root);
    await writeFile(join(root, 'incoming', 'half'), 'x');
    await FolderObjectStore.open(root);
    expect(await readdir(join(root, 'incoming'))).toEqual([]);
  });
});

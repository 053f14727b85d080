import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
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

describe('collection', () => {
  const old = new Date('2026-01-01T00:00:00.000Z');
  const before = new Date('2026-02-01T00:00:00.000Z');
  const aged = async (store: FolderObjectStore, text: string) => {
    const bytes = Buffer.from(text);
    await store.put(sha(bytes), bytes);
    await utimes(join(root, sha(bytes).slice(0, 2), sha(bytes)), old, old);
    return sha(bytes);
  };
  const listed = async (store: FolderObjectStore) => {
    const found: string[] = [];
    for await (const { sha256 } of store.list()) found.push(sha256);
    return found.sort();
  };

  it('deletes what was not put since, also where its bytes were there already', async () => {
    const store = await FolderObjectStore.open(root);
    const gone = await aged(store, 'gone');
    const again = await aged(store, 'again');
    await store.put(again, Buffer.from('again'));
    expect(await listed(store)).toEqual([gone, again].sort());
    expect([await store.collect(gone, before), await store.collect(again, before)]).toEqual([true, false]);
    expect(await store.collect(gone, before), 'once').toBe(false);
    expect(await listed(store)).toEqual([again]);
    await expect(store.get(gone)).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
  });

  it('never loses an object that is put at the same moment', async () => {
    const store = await FolderObjectStore.open(root);
    for (let round = 0; round < 200; round++) {
      const text = `object ${round}`;
      const name = await aged(store, text);
      await Promise.all([store.collect(name, before), store.put(name, Buffer.from(text))]);
      expect((await store.get(name)).toString(), `round ${round}`).toBe(text);
    }
    expect(await readdir(join(root, 'incoming'))).toEqual([]);
  });

  it('gives back what a crash left aside', async () => {
    const store = await FolderObjectStore.open(root);
    const name = await aged(store, 'wanted');
    await rename(join(root, name.slice(0, 2), name), join(root, 'incoming', `${name}.0011`));
    expect((await (await FolderObjectStore.open(root)).get(name)).toString()).toBe('wanted');
  });
});

import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDataFolder } from './data-folder-lock.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'vigie-lock-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe('lockDataFolder', () => {
  it('lets one in at a time, in a folder of any depth', async () => {
    const deep = join(root, 'a'.repeat(120), 'b'.repeat(120));
    await mkdir(deep, { recursive: true });
    const lock = await lockDataFolder(deep);
    await expect(lockDataFolder(deep)).rejects.toMatchObject({ code: 'DATA_FOLDER_LOCKED' });
    await lock.release();
    await (await lockDataFolder(deep)).release();
  });

  it('takes over from a dead owner, and only one does', async () => {
    await writeFile(join(root, 'lock.sock'), '');
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => lockDataFolder(root)));
    const won = results.filter((result) => result.status === 'fulfilled');
    expect(won).toHaveLength(1);
    await won[0].value.release();
    expect((await readdir(root)).filter((name) => name.startsWith('lock.sock.'))).toEqual([]);
  });
});

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata, MetadataKind } from '@tufjs/models';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createKeys, loadKeys, type ServerKeys } from './keys.js';
import { TufRepository } from './tuf-repository.js';

const DAY = 86_400_000;
let folder: string;
let directory: string;
let keys: ServerKeys;
let at: number;
const now = () => new Date(at);
const target = (version: string) => ({
  path: `releases/m/${version}.json`,
  length: 10,
  sha256: version.repeat(64).slice(0, 64),
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vigie-tuf-'));
  directory = join(folder, 'tuf');
  at = Date.parse('2026-11-21T07:00:00Z');
  await createKeys(join(folder, 'keys'));
  keys = await loadKeys(join(folder, 'keys'));
  await TufRepository.create(directory, keys, now);
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const open = () => TufRepository.open(directory, keys, now);

describe('TufRepository', () => {
  it('signs a change once and keeps it over a restart', async () => {
    const first = await open();
    expect(first.versions()).toEqual({ root: 1, targets: 1, snapshot: 1, timestamp: 1 });
    expect(await first.setTargets([])).toBe(false);
    expect(await first.setTargets([target('1'), target('2')])).toBe(true);
    expect(await first.setTargets([target('2'), target('1')])).toBe(false);
    expect(first.versions()).toEqual({ root: 1, targets: 2, snapshot: 2, timestamp: 2 });
    expect((await open()).versions()).toEqual(first.versions());
    expect(await (await open()).setTargets([target('1')])).toBe(true);
  });

  it('renews each role at half of its life, and versions only grow', async () => {
    const repository = await open();
    let last = repository.versions();
    const renewed: string[] = [];
    for (let day = 0; day <= 200; day += 1) {
      at += DAY;
      await repository.renew();
      const next = repository.versions();
      for (const role of ['root', 'targets', 'snapshot', 'timestamp'] as const) {
        expect(next[role]).toBeGreaterThanOrEqual(last[role]);
        if (next[role] > last[role] && (role === 'root' || role === 'targets')) renewed.push(`${role} day ${day + 1}`);
      }
      last = next;
      const trusted = Metadata.fromJSON(MetadataKind.Root, JSON.parse(repository.rootText()));
      for (const { role, bytes } of repository.metadata().slice(-3)) {
        const metadata = Metadata.fromJSON(role as MetadataKind.Targets, JSON.parse(bytes.toString()));
        trusted.verifyDelegate(role, metadata);
        expect(metadata.signed.isExpired(now()), `${role} on day ${day}`).toBe(false);
      }
    }
    expect(renewed).toEqual(['targets day 46', 'targets day 92', 'targets day 138', 'root day 183', 'targets day 184']);
    expect((await open()).metadata().filter(({ role }) => role === 'root')).toHaveLength(2);
    expect((await readdir(directory)).filter((name) => name.endsWith('.snapshot.json')).length).toBeLessThanOrEqual(2);
  });

  it('takes no notice of what an interrupted change left above the committed versions', async () => {
    await (await open()).setTargets([target('1')]);
    await writeFile(join(directory, '3.targets.json'), '{"torn');
    await writeFile(join(directory, '3.snapshot.json'), '');
    const repository = await open();
    expect(repository.versions().targets).toBe(2);
    expect(await repository.setTargets([target('2')])).toBe(true);
    expect((await open()).versions().targets).toBe(3);
  });

  it('refuses files that were changed or signed by other keys', async () => {
    const path = join(directory, '1.targets.json');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"targets":{}', '"targets":{"x":{"length":1,"hashes":{"sha256":"00"}}}'));
    await expect(open()).rejects.toMatchObject({ code: 'TUF_REPOSITORY_INVALID' });
    await writeFile(path, text);
    await createKeys(join(folder, 'other'));
    keys = await loadKeys(join(folder, 'other'));
    const repository = await open();
    expect(repository.versions().root, 'the files are sound, only the keys are foreign').toBe(1);
  });
});

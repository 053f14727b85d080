import { cpSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HttpsMetadataSource } from '../src/io/https-metadata.js';
import { TufTrust } from '../src/io/tuf-trust.js';
import { soundRoot } from '../src/io/tuf-update.js';
import { silent } from './board-fixture.js';
import { DyingFileSystem } from './dying-file-system.js';
import { scratchFolder } from './fleet-fixture.js';
import { MetadataServer, plainGet } from './metadata-server.js';
import { TufSimulator } from './tuf-simulator.js';

let server: MetadataServer;
let repository: TufSimulator;
let enrolledRoot: string;
/** A data folder whose metadata is one version behind the server's, with other keys since. */
let base: string;
let before: string;
let after: string;
let operations: number;

function trustIn(data: string, files?: DyingFileSystem): TufTrust {
  const directory = join(data, 'tuf');
  return new TufTrust({
    directory,
    enrolledRoot,
    now: Date.now,
    log: silent,
    ...(files === undefined ? {} : { files }),
  });
}

const refresh = (trust: TufTrust) =>
  trust.update(new HttpsMetadataSource(server.url, plainGet), new AbortController().signal, async () => {});

/** The whole content of a folder as one text. */
function contentOf(directory: string): string {
  const names = readdirSync(directory).filter((name) => statSync(join(directory, name)).isFile());
  return names
    .sort()
    .map((name) => `${name} ${readFileSync(join(directory, name), 'utf8')}`)
    .join('\n');
}

function copyOfBase(): string {
  const data = scratchFolder();
  cpSync(base, data, { recursive: true });
  return data;
}

beforeAll(async () => {
  server = await MetadataServer.start();
  repository = new TufSimulator();
  server.repository = repository;
  enrolledRoot = String(repository.files.get('1.root.json'));
  base = scratchFolder();
  await refresh(trustIn(base));
  before = contentOf(join(base, 'tuf'));
  repository.rotate('timestamp');
  repository.rotate('snapshot');
  repository.bump('root');
  repository.update();
  const counted = new DyingFileSystem();
  const data = copyOfBase();
  await refresh(trustIn(data, counted));
  after = contentOf(join(data, 'tuf'));
  operations = counted.count;
});

afterAll(() => server.close());

test('an update does enough to die in', () => {
  expect(after).not.toBe(before);
  expect(operations).toBeGreaterThan(30);
});

for (const fault of ['SIGKILL', 'power cut', 'power cut that undoes renames'] as const) {
  test(`${fault} at every operation of an update: the old metadata or the new, and the next update succeeds`, async () => {
    const seen = new Set<string>();
    for (let dieAt = 0; dieAt < operations; dieAt += 1) {
      const data = copyOfBase();
      const directory = join(data, 'tuf');
      const onDisk = readdirSync(directory).map((name) => statSync(join(directory, name)).ino);
      const files = new DyingFileSystem(dieAt);
      await refresh(trustIn(data, files)).catch(() => {});
      if (fault !== 'SIGKILL') {
        files.cutPower([directory, `${directory}.new`, `${directory}.old`], fault !== 'power cut', onDisk);
      }
      const trust = trustIn(data);
      await trust.open();
      const found = contentOf(directory);
      expect(soundRoot(directory), `operation ${dieAt}`).toBe(true);
      expect([before, after].includes(found), `operation ${dieAt} left something between`).toBe(true);
      seen.add(found);
      if (fault !== 'SIGKILL') continue;
      await refresh(trust);
      expect(contentOf(directory), `operation ${dieAt}`).toBe(after);
    }
    expect([...seen].sort(), 'both were seen').toEqual([before, after].sort());
  });
}

test('a torn root falls back to the enrolment’s, and what else is there still protects from rollback', async () => {
  for (const torn of ['', '{"signed"', enrolledRoot.replace('"version":1', '"version":2')]) {
    const data = copyOfBase();
    const directory = join(data, 'tuf');
    const path = join(directory, 'root.json');

    await writeFile(path, torn);
    const trust = trustIn(data);
    await trust.open();
    expect(readFileSync(path, 'utf8')).toBe(enrolledRoot);
    expect(existsSync(join(directory, 'timestamp.json'))).toBe(true);
    await refresh(trust);
    expect(contentOf(directory)).toBe(after);
  }
});

test('a torn new folder falls back to the one before it', async () => {
  const data = copyOfBase();
  const directory = join(data, 'tuf');
  cpSync(directory, `${directory}.old`, { recursive: true });

  await writeFile(join(directory, 'root.json'), '');
  await trustIn(data).open();
  expect(contentOf(directory)).toBe(before);
});

test('each other file of the folder may be torn or gone', async () => {
  for (const name of ['timestamp.json', 'snapshot.json', 'targets.json', 'vigie.json']) {
    for (const damage of ['torn', 'gone']) {
      const data = copyOfBase();
      const path = join(data, 'tuf', name);
      await rm(path);
      if (damage === 'torn') await writeFile(path, '{"signed":{"_type"');
      await refresh(trustIn(data)).catch((error: Error) => {
        throw new Error(`${name} ${damage}: ${error.message}`);
      });
    }
  }
});

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, describe as group, it } from 'vitest';
import { openPackageDirectory } from '../src/package/package.js';
import {
  available,
  folderOf,
  PERSON_MODEL,
  packageFiles,
  personPackage,
  temporaryFolder,
  YARD_STILLS,
} from './package-fixture.js';

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

/** Runs the built program; the tests of the whole repository build first. */
function run(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, ...args], (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

group.skipIf(!available(CLI))('vigie-models', () => {
  it.each([[], ['pack'], ['verify'], ['detect'], ['quantize']])('%s has --help', async (...args) => {
    const { status, stdout } = await run(...args.flat(), '--help');
    expect(status).toBe(0);
    expect(stdout).toContain('Usage: vigie-models');
  });

  it.each([
    [['explode']],
    [['pack']],
    [['pack', 'a', '--out']],
    [['verify']],
    [['detect', 'a']],
    [['verify', 'a', '--no-such']],
    [['detect', 'a', 'b', '--threshold', '2']],
  ])('ends %j with status 2 and a word on stderr', async (args) => {
    const { status, stdout, stderr } = await run(...args);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('error:');
  });

  it('packs, and tells what', async () => {
    const folder = await folderOf(packageFiles());
    const file = join(await temporaryFolder(), 'p.vigie');
    const { status, stdout } = await run('pack', folder, '--out', file, '--json');
    const { digest } = await openPackageDirectory(folder);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      file,
      name: 'person-detector',
      version: '1.0.0',
      precision: 'fp32',
      digest,
      bytes: (await readFile(file)).length,
    });
    expect(existsSync(`${file}.partial`)).toBe(false);
  });

  it('refuses to pack what is no package: one line, status 2, nothing written', async () => {
    const folder = await folderOf(packageFiles(undefined, {}, [['resize: stretch', 'resize: squash']]));
    const file = join(await temporaryFolder(), 'p.vigie');
    const { status, stdout, stderr } = await run('pack', folder, '--out', file);
    expect({ status, stdout, lines: stderr.trim().split('\n').length }).toEqual({ status: 2, stdout: '', lines: 1 });
    expect(stderr).toMatch(/MANIFEST_INVALID.*input\.resize.*"squash".*letterbox or stretch/);
    expect(existsSync(file)).toBe(false);
  });

  it('verifies with status 1 what is there and wrong, 2 what is not there', async () => {
    const broken = await run('verify', await folderOf(packageFiles()), '--json');
    expect(broken.status).toBe(1);
    expect(JSON.parse(broken.stdout)).toMatchObject({ ok: false, code: 'MODEL_LOAD_FAILED', name: 'person-detector' });
    const absent = await run('verify', '/nonexistent.vigie', '--json');
    expect(absent.status).toBe(2);
    expect(JSON.parse(absent.stdout)).toMatchObject({ ok: false, error: { code: 'PACKAGE_NOT_FOUND' } });
    const text = join(await temporaryFolder(), 'text.vigie');
    await writeFile(text, 'no archive');
    expect(await run('verify', text)).toMatchObject({ status: 1, stdout: expect.stringContaining('ARCHIVE_INVALID') });
  });
});

group.skipIf(!available(CLI, PERSON_MODEL, YARD_STILLS))('vigie-models with the person detector', () => {
  it('detects in pictures: the same from a folder and from an archive, boxes in pixels', async () => {
    const folder = await personPackage();
    const archive = join(await temporaryFolder(), 'person.vigie');
    expect((await run('pack', folder, '--out', archive)).status).toBe(0);
    const images = ['still_00.jpg', 'still_03.jpg'].map((name) => join(YARD_STILLS, name));
    const [a, b] = [
      await run('detect', folder, ...images, '--threshold', '0.3', '--json'),
      await run('detect', archive, ...images, '--threshold', '0.3', '--json'),
    ];
    expect(a).toMatchObject({ status: 0, stderr: '' });
    expect(b.stdout).toBe(a.stdout);
    const results = JSON.parse(a.stdout);
    expect(results.map((result: { image: string }) => result.image)).toEqual(images);
    expect(results[0]).toMatchObject({ width: 640, height: 360 });
    const { detections } = results[0];
    expect(detections.length).toBeGreaterThan(0);
    for (const { label, classId, score, box } of detections) {
      expect({ label, classId }).toEqual({ label: 'person', classId: 0 });
      expect(score).toBeGreaterThanOrEqual(0.3);
      expect(box[2] - box[0]).toBeGreaterThan(2);
      expect(box[2]).toBeLessThanOrEqual(640);
      expect(box[3]).toBeLessThanOrEqual(360);
    }
    expect((await run('detect', folder, ...images)).stdout).toContain('still_03.jpg (640x360)');
  });

  it('names the picture it cannot read', async () => {
    const folder = await personPackage();
    const { status, stderr } = await run('detect', folder, join(folder, 'labels.txt'));
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(/PICTURE_INVALID.*labels\.txt/) });
    expect(await run('detect', folder, '/nonexistent.jpg')).toMatchObject({ status: 2 });
  });
});

import { createHash, randomBytes } from 'node:crypto';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Value } from '@sinclair/typebox/value';
import { chunkLayout, ReleaseDescriptor } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import { chunksOf, describePackage, partsOf } from '../src/package/descriptor.js';
import { packageDigest, sha256Hex } from '../src/package/digest.js';
import { openPackageDirectory } from '../src/package/package.js';
import { folderOf, packageFiles } from './package-fixture.js';

const codeOf = (folder: string) =>
  openPackageDirectory(folder).then(
    () => 'opened',
    (error) => error.code,
  );

describe('packageDigest', () => {
  it('is the hash of the sorted canonical lines', () => {
    const files = [
      { path: 'model.onnx', size: 3, sha256: 'b'.repeat(64) },
      { path: 'golden/a.jpg', size: 0, sha256: 'c'.repeat(64) },
    ];
    const lines = `golden/a.jpg\t0\t${'c'.repeat(64)}\nmodel.onnx\t3\t${'b'.repeat(64)}\n`;
    expect(packageDigest(files)).toBe(createHash('sha256').update(lines).digest('hex'));
    expect(packageDigest([...files].reverse())).toBe(packageDigest(files));
  });

  it('sorts by bytes, not by locale', () => {
    const sha256 = 'd'.repeat(64);
    const lines = ['A', 'Z', 'a', 'b'].map((path) => `${path}\t1\t${sha256}\n`).join('');
    const files = ['b', 'A', 'a', 'Z'].map((path) => ({ path, size: 1, sha256 }));
    expect(packageDigest(files)).toBe(createHash('sha256').update(lines).digest('hex'));
  });

  it('changes with any byte of any file', async () => {
    const base = await openPackageDirectory(await folderOf(packageFiles()));
    const other = await openPackageDirectory(await folderOf({ ...packageFiles(), 'golden/a.jpg': 'changed' }));
    expect(other.digest).not.toBe(base.digest);
  });
});

describe('openPackageDirectory', () => {
  it('opens a whole package', async () => {
    const open = await openPackageDirectory(await folderOf(packageFiles()));
    expect(open.labels).toEqual(['person']);
    expect(open.files.map((file) => file.path)).toEqual(['golden/a.jpg', 'labels.txt', 'manifest.yaml', 'model.onnx']);
    expect(open.manifest.name).toBe('person-detector');
  });

  it.each<[string, string, (files: Record<string, string | Buffer | undefined>) => void]>([
    ['a missing manifest', 'MANIFEST_MISSING', (files) => delete files['manifest.yaml']],
    ['a missing model', 'FILE_MISSING', (files) => delete files['model.onnx']],
    ['a missing golden frame', 'FILE_MISSING', (files) => delete files['golden/a.jpg']],
    ['missing labels', 'FILE_MISSING', (files) => delete files['labels.txt']],
    ['one changed byte of the model', 'DIGEST_MISMATCH', (files) => (files['model.onnx'] = 'model bytez')],
    ['a label that stands twice', 'LABELS_INVALID', (files) => (files['labels.txt'] = 'person\ncar\nperson\n')],
    ['an empty line among labels', 'LABELS_INVALID', (files) => (files['labels.txt'] = 'person\n\ncar\n')],
    ['no labels at all', 'LABELS_INVALID', (files) => (files['labels.txt'] = '')],
    ['labels that are no text', 'LABELS_INVALID', (files) => (files['labels.txt'] = Buffer.from([0xff, 0xfe, 0x00]))],
    ['a hidden file', 'PATH_UNSAFE', (files) => (files['.env'] = 'x')],
    ['a blank in a name', 'PATH_UNSAFE', (files) => (files['golden/a b.jpg'] = 'x')],
  ])('refuses %s', async (_name, code, change) => {
    const files = packageFiles();
    change(files);
    expect(await codeOf(await folderOf(files))).toBe(code);
  });

  it('refuses links, which could point out of the package', async () => {
    const folder = await folderOf(packageFiles());
    await symlink('/etc/hostname', join(folder, 'golden/b.jpg'));
    expect(await codeOf(folder)).toBe('PATH_UNSAFE');
  });

  it('refuses more than 256 files', async () => {
    const folder = await folderOf(packageFiles());
    for (let i = 0; i < 256; i++) await writeFile(join(folder, `golden/${i}.txt`), '');
    expect(await codeOf(folder)).toBe('TOO_MANY_FILES');
  });

  it('refuses more than 256 MiB before hashing', async () => {
    const folder = await folderOf(packageFiles());
    const { truncate } = await import('node:fs/promises');
    await truncate(join(folder, 'golden/a.jpg'), 256 * 1024 * 1024);
    expect(await codeOf(folder)).toBe('TOO_LARGE');
  });

  it('says so when the folder is not there', async () => {
    expect(await codeOf('/nonexistent-package')).toBe('PACKAGE_NOT_FOUND');
  });

  it('refuses labels in the manifest that the labels file does not know', async () => {
    const golden = '[{ label: dog, score: 0.5, box: [0, 0, 1, 1] }]';
    expect(await codeOf(await folderOf(packageFiles(undefined, { golden })))).toBe('MANIFEST_INVALID');
  });
});

describe('describePackage', () => {
  it('lists files with their chunks, cut by content', async () => {
    const model = randomBytes(150_000);
    const folder = await folderOf(packageFiles(model));
    const open = await openPackageDirectory(folder);
    const descriptor = await describePackage(open, (path) => readFile(join(folder, path)));
    expect(Value.Check(ReleaseDescriptor, descriptor)).toBe(true);
    expect(descriptor.digest).toBe(open.digest);
    const file = descriptor.files.find(({ path }) => path === 'model.onnx')!;
    expect(file.chunks).toEqual(chunksOf(model).map((chunk) => chunk.sha256));
    expect(file.chunks.length).toBeGreaterThan(2);
    const layout = chunkLayout(file);
    expect(Buffer.concat(layout.map(({ offset, length }) => model.subarray(offset, offset + length)))).toEqual(model);
    for (const { sha256, offset, length } of layout)
      expect(sha256Hex(model.subarray(offset, offset + length))).toBe(sha256);
  });

  it('carries the thresholds by which the release wants to be judged', async () => {
    const folder = await folderOf(packageFiles(undefined, { extra: 'trial: { maxLatencyRatio: 1.5 }' }));
    const open = await openPackageDirectory(folder);
    const descriptor = await describePackage(open, (path) => readFile(join(folder, path)));
    expect(descriptor.trial).toEqual({ maxLatencyRatio: 1.5 });
    expect(await codeOf(await folderOf(packageFiles(undefined, { extra: 'trial: { maxLatency: 1.5 }' })))).toBe(
      'MANIFEST_INVALID',
    );
  });

  it('cuts metadata into as few pieces as there can be', () => {
    const bytes = randomBytes(150_000);
    expect(partsOf(bytes).map((part) => part.bytes.length)).toEqual([65_536, 65_536, 18_928]);
    expect(Buffer.concat(partsOf(bytes).map((part) => part.bytes))).toEqual(bytes);
  });

  it('notices a file that changed after it was opened', async () => {
    const open = await openPackageDirectory(await folderOf(packageFiles()));
    await expect(describePackage(open, async () => Buffer.from('other'))).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
  });
});

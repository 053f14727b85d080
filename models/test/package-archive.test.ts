import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unzipSync, type Zippable, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { packDirectory, readArchive, unpackArchive } from '../src/package/archive.js';
import { openPackageDirectory } from '../src/package/package.js';
import { folderOf, packageFiles, temporaryFolder } from './package-fixture.js';

const OPTIONS = { level: 0, mtime: new Date(1980, 0, 1) } as const;

function archiveOf(files: Record<string, string | Buffer>, change: (entries: Zippable) => void = () => {}): Buffer {
  const entries: Zippable = Object.fromEntries(
    Object.entries(files).map(([path, content]) => [path, new Uint8Array(Buffer.from(content))]),
  );
  change(entries);
  return Buffer.from(zipSync(entries, OPTIONS));
}

/** The code of the refusal; also checks that nothing was written. */
async function refusalOf(bytes: Buffer): Promise<string> {
  const target = await temporaryFolder();
  const code = await unpackArchive(bytes, target).then(
    () => 'unpacked',
    (error) => error.code ?? String(error),
  );
  if (code !== 'unpacked') expect(await readdir(target)).toEqual([]);
  return code;
}

describe('packDirectory', () => {
  it('gives the same bytes for the same files, whenever and in whatever order they were made', async () => {
    const files = packageFiles();
    const first = await folderOf(files);
    const second = await folderOf(Object.fromEntries(Object.entries(files).reverse()));
    await utimes(join(second, 'model.onnx'), 1e9, 1e9);
    const [a, b] = [await packDirectory(first), await packDirectory(second)];
    expect(a.bytes.equals(b.bytes)).toBe(true);
    expect(a.digest).toBe((await openPackageDirectory(first)).digest);
  });

  it('gives the same bytes in another time zone', async () => {
    const folder = await folderOf(packageFiles());
    const before = process.env.TZ;
    const packed: Buffer[] = [];
    try {
      for (const zone of ['UTC', 'Pacific/Kiritimati', 'America/Los_Angeles']) {
        process.env.TZ = zone;
        packed.push((await packDirectory(folder)).bytes);
      }
    } finally {
      if (before === undefined) delete process.env.TZ;
      else process.env.TZ = before;
    }
    expect(packed[1].equals(packed[0]) && packed[2].equals(packed[0])).toBe(true);
  });

  it('is a plain ZIP with sorted, stored entries that others can read', async () => {
    const { bytes } = await packDirectory(await folderOf(packageFiles()));
    const seen: [string, number][] = [];
    const contents = unzipSync(bytes, {
      filter: ({ name, compression }) => seen.push([name, compression]) > 0,
    });
    expect(seen).toEqual([
      ['golden/a.jpg', 0],
      ['labels.txt', 0],
      ['manifest.yaml', 0],
      ['model.onnx', 0],
    ]);
    expect(Buffer.from(contents['model.onnx']).toString()).toBe('model bytes');
  });

  it('refuses a folder that is no package', async () => {
    await expect(packDirectory(await folderOf({ 'a.txt': 'x' }))).rejects.toMatchObject({ code: 'MANIFEST_MISSING' });
  });
});

describe('unpackArchive', () => {
  it('gives back what was packed', async () => {
    const source = await folderOf(packageFiles());
    const packed = await packDirectory(source);
    const target = join(await temporaryFolder(), 'new/folder');
    const open = await unpackArchive(packed.bytes, target);
    expect(open).toEqual(await openPackageDirectory(source));
    expect(await openPackageDirectory(target)).toEqual(open);
    expect(await readFile(join(target, 'model.onnx'), 'utf8')).toBe('model bytes');
  });

  it('refuses a folder that holds something', async () => {
    const { bytes } = await packDirectory(await folderOf(packageFiles()));
    const target = await temporaryFolder();
    await writeFile(join(target, 'kept.txt'), 'mine');
    await expect(unpackArchive(bytes, target)).rejects.toMatchObject({ code: 'TARGET_NOT_EMPTY' });
    expect(await readdir(target)).toEqual(['kept.txt']);
  });

  it.each([
    '../evil',
    '/etc/evil',
    'a/../../evil',
    'a\\..\\evil',
    'C:evil',
    './a',
    'a//b',
    'nul\u0000',
    '.git/config',
    '__proto__',
    'a.txt ',
  ])('refuses the path %j', async (path) => {
    // Renamed in the finished bytes: the library that writes the archive would not take some of these names.
    const stand = 'z'.repeat(path.length);
    const bytes = archiveOf({ ...packageFiles(), [stand]: 'x' });
    const renamed = Buffer.from(bytes.toString('latin1').replaceAll(stand, path), 'latin1');
    expect(renamed.equals(bytes)).toBe(false);
    expect(await refusalOf(renamed)).toBe('PATH_UNSAFE');
  });

  it('refuses a link', async () => {
    const bytes = archiveOf(packageFiles(), (entries) => {
      entries.link = [new Uint8Array(Buffer.from('/etc/passwd')), { os: 3, attrs: 0o120777 << 16 }];
    });
    expect(await refusalOf(bytes)).toBe('PATH_UNSAFE');
  });

  it('refuses compressed entries without inflating them: a bomb stays small', async () => {
    const bytes = archiveOf(packageFiles(), (entries) => {
      entries.bomb = [new Uint8Array(64 * 1024 * 1024), { level: 9 }];
    });
    expect(bytes.length).toBeLessThan(1024 * 1024);
    expect(await refusalOf(bytes)).toBe('ARCHIVE_COMPRESSED');
  });

  it('refuses more than 256 entries', async () => {
    const bytes = archiveOf(packageFiles(), (entries) => {
      for (let i = 0; i < 260; i++) entries[`f${i}`] = new Uint8Array(0);
    });
    expect(await refusalOf(bytes)).toBe('TOO_MANY_FILES');
  });

  it('refuses two entries of one name', async () => {
    const bytes = archiveOf({ ...packageFiles(), 'golden/b.jpg': 'x' });
    expect(
      await refusalOf(Buffer.from(bytes.toString('latin1').replaceAll('golden/b.jpg', 'golden/a.jpg'), 'latin1')),
    ).toBe('PATH_COLLISION');
  });

  it('refuses entries that overlap or hide bytes', async () => {
    const good = archiveOf(packageFiles());
    const directory = good.readUInt32LE(good.length - 6);
    const overlapping = Buffer.from(good);
    const second = directory + 46 + good.readUInt16LE(directory + 28);
    overlapping.writeUInt32LE(good.readUInt32LE(directory + 42), second + 42);
    expect(await refusalOf(overlapping)).toBe('ARCHIVE_INVALID');
    expect(await refusalOf(Buffer.concat([Buffer.from('MZ hidden program'), good]))).toBe('ARCHIVE_INVALID');
    expect(await refusalOf(Buffer.concat([good, Buffer.from('tail')]))).toBe('ARCHIVE_INVALID');
  });

  it('refuses every truncation', async () => {
    const bytes = archiveOf(packageFiles());
    for (let length = 0; length < bytes.length; length += 7) {
      await expect(readArchive(bytes.subarray(0, length))).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
    }
  });

  it('never passes a flipped byte off as the same package, and never fails in another way', async () => {
    const bytes = archiveOf(packageFiles());
    const { digest } = await readArchive(bytes);
    let refused = 0;
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] ^= 0x41;
      const outcome = await readArchive(changed).catch((error: unknown) => error as { name: string });
      if ('digest' in outcome) {
        // Only fields that carry no content (times, versions) may differ unnoticed.
        expect(outcome.digest).toBe(digest);
      } else {
        expect(outcome.name).toBe('PackageError');
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(bytes.length / 2);
  });
});

import { createHash } from 'node:crypto';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readArchive, unpackArchive } from '../src/package/archive.js';
import { parseLabels, thresholdOf } from '../src/package/labels.js';
import { openPackageDirectory } from '../src/package/package.js';
import { PACKAGE_ERROR_CODES } from '../src/package/package-error.js';
import { decodePlanes, GOLDEN_FORMATS } from '../src/package/picture.js';
import { HOSTILE_ARCHIVES } from './hostile-archives.js';
import { HOSTILE_CONTENTS, manifestWith } from './hostile-contents.js';
import { folderOf, packageFiles, temporaryFolder } from './package-fixture.js';

/** The refusal: its code, and its message, which must be one bounded line without control characters. */
async function refusalOf(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = await work.then(
    () => ({ name: 'none', code: 'accepted', message: '' }),
    (thrown: { name: string; code: string; message: string }) => thrown,
  );
  if (error.code === 'accepted') return error;
  expect(error.name, error.message).toBe('PackageError');
  expect(PACKAGE_ERROR_CODES).toContain(error.code);
  expect(error.message.length).toBeLessThanOrEqual(1000);
  expect(error.message).not.toMatch(/[\p{Cc}\u2028\u202e]/u);
  return error;
}

describe('hostile archives', () => {
  it.each([...HOSTILE_ARCHIVES, ...HOSTILE_CONTENTS])('%s: %s', async (_what, code, message, make) => {
    const target = join(await temporaryFolder(), 'out');
    const before = process.memoryUsage.rss();
    const bytes = make();
    const refusal = await refusalOf(unpackArchive(bytes, target));
    expect(refusal).toMatchObject({ code, message: expect.stringMatching(message) });
    // Nothing was written, and what it took is of the archive's own order.
    await expect(readdir(target)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(process.memoryUsage.rss() - before).toBeLessThan(bytes.length + 512 * 1024 * 1024);
  });

  it('takes Persian and Chinese labels, and one called constructor, whose threshold is the default', async () => {
    const labels = ['آدم‌ها', '行人', 'constructor', '__proto__'];
    expect(parseLabels(Buffer.from(labels.join('\n')), 'labels.txt')).toEqual(labels);
    const { manifest } = await readArchive(manifestWith('default: 0.4', 'default: 0.4, perClass: { person: 0.7 }'));
    expect(['person', ...labels].map((label) => thresholdOf(manifest, label))).toEqual([0.7, 0.4, 0.4, 0.4, 0.4]);
  });
});

describe('hostile folders', () => {
  it('is left at the first file that is too many, and at the first folder', async () => {
    const folder = await folderOf(packageFiles());
    for (let i = 0; i < 260; i++) await mkdir(join(folder, `f${i}`));
    expect(await refusalOf(openPackageDirectory(folder))).toMatchObject({ code: 'TOO_MANY_FILES' });
  });

  it('does not follow a folder that is a link', async () => {
    const folder = await folderOf(packageFiles());
    await symlink('/', join(folder, 'root'));
    expect(await refusalOf(openPackageDirectory(folder))).toMatchObject({ code: 'PATH_UNSAFE' });
  });

  it('refuses a hole of 300 MB without reading it', async () => {
    const folder = await folderOf(packageFiles());
    const { truncate } = await import('node:fs/promises');
    await writeFile(join(folder, 'hole.bin'), '');
    await truncate(join(folder, 'hole.bin'), 300 * 1024 * 1024);
    expect(await refusalOf(openPackageDirectory(folder))).toMatchObject({ code: 'TOO_LARGE' });
  });
});

/** A PNG of `width` × `height` one-bit pixels, all zero, compressed to next to nothing. */
function pngBomb(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc(body), body.length + 4);
    return out;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 1;
  const rows = Buffer.alloc((Math.ceil(Math.min(width, 20_000) / 8) + 1) * Math.min(height, 20_000));
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function crc(bytes: Buffer): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return (value ^ 0xffffffff) >>> 0;
}

describe('hostile golden pictures', () => {
  const golden = { maxPixels: 4096 * 4096, formats: GOLDEN_FORMATS };
  it.each<[string, Buffer]>([
    ['a PNG of 20,000 × 20,000', pngBomb(20_000, 20_000)],
    ['a PNG of 2^31 − 1 squared', pngBomb(2 ** 31 - 1, 2 ** 31 - 1)],
    ['a cut JPEG', Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16])],
    [
      'an SVG',
      Buffer.from(
        '<svg xmlns="http://www.w3.org/2000/svg" width="99999" height="99999"><image href="/etc/passwd"/></svg>',
      ),
    ],
    ['an SVG behind a JPEG name and a byte order mark', Buffer.from('\ufeff<?xml version="1.0"?><svg/>')],
    ['a GIF', Buffer.from('GIF89a\x01\x00\x01\x00\x00\x00\x00', 'latin1')],
    ['a PDF', Buffer.from('%PDF-1.7')],
    ['nothing', Buffer.alloc(0)],
  ])('%s', async (_what, bytes) => {
    const before = process.memoryUsage.rss();
    expect(await refusalOf(decodePlanes(bytes, golden))).toMatchObject({ code: 'PICTURE_INVALID' });
    expect(process.memoryUsage.rss() - before).toBeLessThan(256 * 1024 * 1024);
  });

  it('takes a small PNG of the same making', async () => {
    expect(await decodePlanes(pngBomb(64, 32), golden)).toMatchObject({ width: 64, height: 32 });
  });
});

describe('pack', () => {
  it('gives these very bytes on any machine', async () => {
    const { packDirectory } = await import('../src/package/archive.js');
    const old = process.umask(0o077);
    try {
      const { bytes, digest } = await packDirectory(await folderOf(packageFiles()));
      expect({ digest, archive: createHash('sha256').update(bytes).digest('hex') }).toEqual({
        digest: '2f6f88121e03c4bf836e45a93db050765656ee2391c17c36ad4d5e3f509bbce8',
        archive: '04e0d90ed57728844336b98130904d50b3e556a24614a9e081b8e2401401d689',
      });
    } finally {
      process.umask(old);
    }
  });
});

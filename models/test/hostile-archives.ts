import { type Zippable, zipSync } from 'fflate';
import type { PackageErrorCode } from '../src/package/package-error.js';
import { packageFiles } from './package-fixture.js';

/** What is wrong, the code it is refused with, what the message says, and the archive. */
export type HostileCase = readonly [string, PackageErrorCode, RegExp, () => Buffer];

export type Files = Record<string, string | Buffer>;
const OPTIONS = { level: 0, mtime: new Date(1980, 0, 1) } as const;

export function archiveOf(files: Files, extra: Zippable = {}): Buffer {
  const entries = Object.entries(files).map(([path, content]) => [path, new Uint8Array(Buffer.from(content))] as const);
  return Buffer.from(zipSync({ ...Object.fromEntries(entries), ...extra }, OPTIONS));
}

/** A valid archive with one entry whose name is put in afterwards: writers would not take some of these. */
function withName(name: string): Buffer {
  const stand = 'z'.repeat(Buffer.byteLength(name));
  const bytes = archiveOf({ ...packageFiles(), [stand]: 'x' });
  return Buffer.from(bytes.toString('latin1').replaceAll(stand, Buffer.from(name).toString('latin1')), 'latin1');
}

/** A valid archive whose bytes are changed at the end record, the first directory entry or the first header. */
function patched(change: (bytes: Buffer, at: { end: number; central: number }) => unknown): Buffer {
  const bytes = archiveOf(packageFiles());
  const end = bytes.length - 22;
  const changed = change(bytes, { end, central: bytes.readUInt32LE(end + 16) });
  return Buffer.isBuffer(changed) ? changed : bytes;
}

/** Faults of the archive itself. */
export const HOSTILE_ARCHIVES: readonly HostileCase[] = [
  ['a path that climbs', 'PATH_UNSAFE', /"a\/\.\.\/\.\.\/evil".*relative names/, () => withName('a/../../evil')],
  ['an absolute path', 'PATH_UNSAFE', /"\/etc\/evil"/, () => withName('/etc/evil')],
  ['a backslash', 'PATH_UNSAFE', /evil/, () => withName('a\\..\\evil')],
  ['a NUL', 'PATH_UNSAFE', /u0000/, () => withName('a\u0000.txt')],
  [
    'a full-width dot, which some systems fold to ..',
    'PATH_UNSAFE',
    /relative names/,
    () => withName('a/\uff0e\uff0e/b'),
  ],
  ['a right-to-left override', 'PATH_UNSAFE', /u202e/, () => withName('a\u202egpj.exe')],
  ['a decomposed letter', 'PATH_UNSAFE', /relative names/, () => withName('e\u0301.txt')],
  [
    'invalid UTF-8',
    'PATH_UNSAFE',
    /relative names/,
    () => Buffer.from(withName('aZZ').toString('latin1').replaceAll('aZZ', 'a\xff\xfe'), 'latin1'),
  ],
  ['a name longer than the wire carries', 'PATH_UNSAFE', /200 characters/, () => withName('a'.repeat(201))],
  ['too many folders', 'PATH_UNSAFE', /8 folders/, () => withName(`${'a/'.repeat(20)}a`)],
  [
    'a link',
    'PATH_UNSAFE',
    /plain files/,
    () => archiveOf(packageFiles(), { link: [Buffer.from('/etc/passwd'), { os: 3, attrs: 0o120777 << 16 }] }),
  ],
  [
    'a device',
    'PATH_UNSAFE',
    /plain files/,
    () => archiveOf(packageFiles(), { dev: [Buffer.from(''), { os: 3, attrs: 0o060777 << 16 }] }),
  ],
  [
    'names that differ in case',
    'PATH_COLLISION',
    /Labels\.txt.*labels\.txt.*rename/,
    () => archiveOf({ Labels: '', ...packageFiles(), 'Labels.txt': 'person\n' }),
  ],
  [
    'the same name twice',
    'PATH_COLLISION',
    /twice/,
    () =>
      Buffer.from(
        archiveOf({ ...packageFiles(), 'golden/b.jpg': 'x' })
          .toString('latin1')
          .replaceAll('golden/b.jpg', 'golden/a.jpg'),
        'latin1',
      ),
  ],
  [
    'a file where a folder must be',
    'PATH_COLLISION',
    /"golden" is a file/,
    () => archiveOf({ ...packageFiles(), golden: 'x' }),
  ],

  [
    'a compressed bomb',
    'ARCHIVE_COMPRESSED',
    /method 8.*pack/,
    () => archiveOf(packageFiles(), { bomb: [new Uint8Array(32 << 20), { level: 9 }] }),
  ],
  [
    'a declared size beyond the file',
    'ARCHIVE_INVALID',
    /differs|cut off|two sizes/,
    () => patched((b, { central }) => b.writeUInt32LE(0xfffffff0, central + 24)),
  ],
  [
    'both sizes beyond the file',
    'ARCHIVE_INVALID',
    /differs|cut off/,
    () =>
      patched((b, { central }) => {
        b.writeUInt32LE(0x7ffffff0, central + 20);
        b.writeUInt32LE(0x7ffffff0, central + 24);
        return b;
      }),
  ],
  [
    'entries that overlap',
    'ARCHIVE_INVALID',
    /start where/,
    () =>
      patched(
        (b, { central }) =>
          void b.writeUInt32LE(b.readUInt32LE(central + 42), central + 46 + b.readUInt16LE(central + 28) + 42),
      ),
  ],
  [
    'more entries than allowed',
    'TOO_MANY_FILES',
    /300 files exceed 256|304 files/,
    () =>
      archiveOf(
        packageFiles(),
        Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, new Uint8Array(0)])),
      ),
  ],
  [
    '65,535 entries declared',
    'ARCHIVE_INVALID',
    /disks|directory|entry/,
    () => patched((b, { end }) => b.writeUInt16LE(0xffff, end + 10)),
  ],
  [
    'a ZIP64 directory',
    'ARCHIVE_INVALID',
    /disks|directory/,
    () =>
      patched((b, { end }) => {
        b.writeUInt16LE(0xffff, end + 8);
        b.writeUInt32LE(0xffffffff, end + 16);
        return b;
      }),
  ],
  [
    'a directory that starts beyond the end',
    'ARCHIVE_INVALID',
    /directory/,
    () => patched((b, { end }) => b.writeUInt32LE(0x7fffffff, end + 16)),
  ],
  [
    'a directory with a huge hole in it',
    'ARCHIVE_INVALID',
    /belong to no entry|directory/,
    () =>
      patched((b, { end }) => {
        const hole = Buffer.alloc(1 << 20);
        const out = Buffer.concat([b.subarray(0, end), hole, b.subarray(end)]);
        out.writeUInt32LE(b.readUInt32LE(end + 12) + hole.length, end + hole.length + 12);
        return out;
      }),
  ],
  [
    'a comment',
    'ARCHIVE_INVALID',
    /ZIP without comment/,
    () =>
      patched((b) => {
        b.writeUInt16LE(2, b.length - 2);
        return Buffer.concat([b, Buffer.from('hi')]);
      }),
  ],
  [
    'bytes before',
    'ARCHIVE_INVALID',
    /directory/,
    () => patched((b) => Buffer.concat([Buffer.from('#!/bin/sh\n'), b])),
  ],
  [
    'bytes behind',
    'ARCHIVE_INVALID',
    /ZIP without comment/,
    () => patched((b) => Buffer.concat([b, Buffer.from('tail')])),
  ],
  [
    'an encrypted entry',
    'ARCHIVE_INVALID',
    /encrypted/,
    () => patched((b, { central }) => b.writeUInt16LE(1, central + 8)),
  ],
  [
    'a checksum that lies',
    'ARCHIVE_INVALID',
    /checksum/,
    () => patched((b, { central }) => b.writeUInt32LE(1, central + 16)),
  ],
  ['another name in the header', 'ARCHIVE_INVALID', /differs/, () => patched((b) => b.write('Golden', 30, 'latin1'))],
  ['no bytes', 'ARCHIVE_INVALID', /pack/, () => Buffer.alloc(0)],
  ['a PNG', 'ARCHIVE_INVALID', /pack/, () => Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')],
  ['more bytes than a package has', 'TOO_LARGE', /smaller/, () => Buffer.alloc(258 * 1024 * 1024)],
];

import { createHash } from 'node:crypto';
import { zipSync } from 'fflate';
import { mutateBytes, mutateZip, pick, type Random } from './fuzz-bytes.js';
import { mutateOnnx } from './fuzz-onnx.js';

/** Values that a line of the manifest gets. */
const WORDS = [
  '.nan',
  '.inf',
  '-1',
  '1e999',
  '[]',
  '{}',
  '~',
  '"\\u0000"',
  '*a',
  '&a 1',
  '!!binary AAAA',
  '[[[[[[[[[[[[[[[[[[[[',
  '4096',
  '0x7fffffff',
  '../x',
  "'",
];

function mutateManifest(text: string, random: Random): string {
  const lines = text.split('\n');
  const at = random(lines.length);
  const how = random(4);
  if (how === 0) lines.splice(at, 1);
  else if (how === 1) lines.splice(random(lines.length), 0, lines[at]);
  else if (how === 2) lines[at] = lines[at].replace(/: .*/, `: ${pick(random, WORDS)}`);
  else return mutateBytes(Buffer.from(text), random).toString('latin1');
  return lines.join('\n');
}

/**
 * A package with something wrong in it, as an archive: in the archive's own bytes, or in one of its files, where hashes are put
 * right again so that the fault gets as far as it can.
 */
export function mutatePackage(
  files: ReadonlyMap<string, Buffer>,
  archive: Buffer,
  random: Random,
): { bytes: Buffer; name: string } {
  const how = random(6);
  if (how === 0) return { bytes: mutateBytes(archive, random), name: 'archive bytes' };
  if (how === 1) return { bytes: mutateZip(archive, random), name: 'zip fields' };
  const changed = new Map(files);
  let manifest = files.get('manifest.yaml')!.toString();
  let name = 'manifest';
  if (how === 2) manifest = mutateManifest(manifest, random);
  else if (how === 3) {
    const model = mutateOnnx(files.get('model.onnx')!, random);
    name = `model ${model.name}`;
    changed.set('model.onnx', model.bytes);
    manifest = manifest.replace(
      /sha256: [0-9a-f]{64}/,
      `sha256: ${createHash('sha256').update(model.bytes).digest('hex')}`,
    );
  } else {
    const path = pick(
      random,
      [...files.keys()].filter((file) => file !== 'manifest.yaml' && file !== 'model.onnx'),
    );
    name = path;
    changed.set(path, mutateBytes(files.get(path)!, random));
  }
  changed.set('manifest.yaml', Buffer.from(manifest, 'utf8'));
  const entries = Object.fromEntries([...changed].sort(([a], [b]) => (a < b ? -1 : 1)));
  return { bytes: Buffer.from(zipSync(entries, { level: 0, mtime: new Date(1980, 0, 1) })), name };
}

/** Counts by what came out, e.g. `{ok: 3, PATH_UNSAFE: 1}`. */
export class Tally {
  readonly counts: Record<string, number> = {};
  add(outcome: string): void {
    this.counts[outcome] = (this.counts[outcome] ?? 0) + 1;
  }
  get total(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }
}

/** A seeded stream of whole numbers (mulberry32): `next(n)` gives 0..n−1. The same seed gives the same mutations anywhere. */
export type Random = (below: number) => number;

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

export const pick = <T>(random: Random, list: readonly T[]): T => list[random(list.length)];

/** Values at which parsers err. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

type ByteMutator = (bytes: Buffer, random: Random) => Buffer;

const flip: ByteMutator = (bytes, random) => {
  const out = Buffer.from(bytes);
  for (let i = 0; i <= random(8); i++) out[random(out.length)] ^= 1 << random(8);
  return out;
};
const truncate: ByteMutator = (bytes, random) => bytes.subarray(0, random(bytes.length));
export const run: ByteMutator = (bytes, random) => {
  const out = Buffer.from(bytes);
  const at = random(out.length);
  return out.fill(pick(random, [0, 0xff, 0x80, 0x41, random(256)]), at, Math.min(out.length, at + 1 + random(64)));
};
const splice: ByteMutator = (bytes, random) => {
  const [from, to] = [random(bytes.length), random(bytes.length)];
  return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from, from + 1 + random(512)), bytes.subarray(to)]);
};
const drop: ByteMutator = (bytes, random) => {
  const at = random(bytes.length);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(256))]);
};
const edge: ByteMutator = (bytes, random) => {
  const out = Buffer.from(bytes);
  if (out.length < 4) return out;
  const value = pick(random, EDGES);
  if (random(2) === 0) out.writeUInt32LE(value, random(out.length - 3));
  else out.writeUInt16LE(value & 0xffff, random(out.length - 1));
  return out;
};
/** A protobuf length, or any varint, set to something else: the bytes near the front are tags and lengths. */
const varint: ByteMutator = (bytes, random) => {
  const at = random(Math.min(bytes.length, 4096));
  const value = pick(random, [
    [0],
    [0x7f],
    [0xff, 0x7f],
    [0xff, 0xff, 0xff, 0xff, 0x07],
    Array(9).fill(0xff).concat(1),
    Array(12).fill(0xff),
  ]);
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(value), bytes.subarray(at + random(3))]);
};
const BYTES: readonly ByteMutator[] = [flip, truncate, run, splice, drop, edge, varint];

/** One to three changes of raw bytes; in half of the cases among the first or last 4 KiB, where headers are. */
export function mutateBytes(bytes: Buffer, random: Random): Buffer {
  let out = bytes;
  for (let i = 0; i <= random(3) && out.length > 0; i++) {
    const where = random(4);
    const mutate = pick(random, BYTES);
    if (where === 0) out = Buffer.concat([mutate(out.subarray(0, 4096), random), out.subarray(4096)]);
    else if (where === 1 && out.length > 4096)
      out = Buffer.concat([out.subarray(0, -4096), mutate(out.subarray(-4096), random)]);
    else out = mutate(out, random);
  }
  return out;
}

/** Changes fields of the end record, directory entries and file headers of a ZIP. */
export function mutateZip(bytes: Buffer, random: Random): Buffer {
  const out = Buffer.from(bytes);
  const end = out.length - 22;
  const starts: number[] = [];
  for (const signature of ['PK\x01\x02', 'PK\x03\x04']) {
    for (let at = out.indexOf(signature, 0, 'latin1'); at >= 0; at = out.indexOf(signature, at + 4, 'latin1'))
      starts.push(at);
  }
  for (let i = 0; i <= random(3); i++) {
    const start = random(4) === 0 ? end : pick(random, starts);
    const at = Math.min(start + random(46), out.length - 4);
    if (random(2) === 0) out.writeUInt32LE(pick(random, [...EDGES, out.length, end, random(out.length)]), at);
    else out.writeUInt16LE(pick(random, EDGES) & 0xffff, at);
  }
  return out;
}

#!/usr/bin/env node
// How to cut a model into chunks: what an update costs a board over MQTT, by way of cutting. For each model of the zoo four updates
// are made here with the toolchain's own ONNX reader and writer: other labels (same model file), a head trained anew (other values,
// same shapes), a head grown by classes (longer tensors: everything behind them moves), everything trained anew. Counted are the
// bytes of the chunks that the board does not hold, the descriptor, and what MQTT adds per chunk.
//   node benchmarks/compare/chunking.mjs [--json]
// Needs `npx tsc -b models`. A few seconds.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chunkEnds } from '@vigie/models/package/chunking';
import { sha256Hex } from '@vigie/models/package/digest';
import { decodeModel, encodeModel } from '@vigie/models/quantize/onnx-proto';
import { chunkTopic } from '@vigie/protocol';

const HELP = `node benchmarks/compare/chunking.mjs [--json]

Fixed against content-defined chunks of several sizes: bytes that an update costs a board, by kind of update.
Needs "npx tsc -b models". A few seconds.
`;
const { values } = parseArgs({
  options: { help: { type: 'boolean', short: 'h', default: false }, json: { type: 'boolean', default: false } },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

const repository = fileURLToPath(new URL('../..', import.meta.url));
const KIB = 1024;
const MAX = 64 * KIB;

/** Ways of cutting: bytes to the end of each chunk. */
const fixed = (size) => (bytes) =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => Math.min(bytes.length, (i + 1) * size));
const byContent = (normal) => (bytes) => chunkEnds(bytes, { min: normal / 4, normal, max: MAX });
const WAYS = [
  { name: 'fixed 64 KiB', ends: fixed(64 * KIB) },
  { name: 'fixed 16 KiB', ends: fixed(16 * KIB) },
  ...[4, 8, 16, 32].map((kib) => ({ name: `content, ${kib} KiB`, ends: byContent(kib * KIB) })),
];

/**
 * What MQTT 3.1.1 adds to a chunk, bytes: its topic in SUBSCRIBE, PUBLISH (fixed header 4, length 2, packet id 2) and UNSUBSCRIBE, a
 * byte of SUBACK, a PUBACK. Subscriptions share packets.
 */
const TOPIC = chunkTopic('0'.repeat(64)).length;
const MQTT_PER_CHUNK = TOPIC + 3 + (TOPIC + 8) + (TOPIC + 2) + 1 + 4;
/** A chunk in a descriptor: its hash and its size as JSON. */
const DESCRIPTOR_PER_CHUNK = '"",'.length + 64 + '16384,'.length;

/** The same bytes on every machine. */
function noise(length, seed) {
  const out = Buffer.alloc(length);
  let state = seed >>> 0;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    out[i] = state >>> 24;
  }
  return out;
}

const isHead = (name) => /(^|\/)(cls|reg|head)[./]/.test(name);
/** The layer that grows with the classes. */
const isClassLayer = (name) => /(^|\/)(cls\.\d+\.1|head)[./].*(weight|bias)/.test(name);

/** Initializers that `chosen` names get other values, as training would give them. */
function retrained(model, chosen) {
  let seed = 1;
  for (const tensor of model.graph.initializer) {
    if (chosen(tensor.name ?? '') && tensor.rawData?.length > 0) tensor.rawData = noise(tensor.rawData.length, ++seed);
  }
  return model;
}

/** Three more classes: the tensors of the class layer become longer, and the rest of the head is trained anew. */
function grown(model) {
  for (const tensor of model.graph.initializer) {
    if (!isClassLayer(tensor.name ?? '') || tensor.dims.length === 0 || !(tensor.rawData?.length > 0)) continue;
    const rows = Number(tensor.dims[0]);
    tensor.dims[0] = rows + 3;
    tensor.rawData = noise((tensor.rawData.length / rows) * (rows + 3), 99);
  }
  return retrained(model, isHead);
}

const UPDATES = [
  { name: 'labels only', make: (bytes) => bytes },
  { name: 'head trained anew', make: (bytes) => encodeModel(retrained(decodeModel(bytes), isHead)) },
  { name: 'head grown by 3 classes', make: (bytes) => encodeModel(grown(decodeModel(bytes))) },
  { name: 'all trained anew', make: (bytes) => encodeModel(retrained(decodeModel(bytes), () => true)) },
];

function cut(bytes, ends) {
  let start = 0;
  return ends(bytes).map((end) => {
    const piece = bytes.subarray(start, end);
    start = end;
    return { sha256: sha256Hex(piece), size: piece.length };
  });
}

const rows = [];
for (const model of [
  'person-detector-fp32',
  'person-detector-int8',
  'person-classifier-fp32',
  'person-classifier-int8',
]) {
  const file = await readFile(join(repository, 'models/zoo', model, 'model.onnx'));
  // Written by the same writer as the update, so that only what was changed is changed.
  const before = Buffer.from(encodeModel(decodeModel(file)));
  for (const update of UPDATES) {
    const after = Buffer.from(update.make(before));
    for (const way of WAYS) {
      const held = new Set(cut(before, way.ends).map((chunk) => chunk.sha256));
      const chunks = cut(after, way.ends);
      const missing = chunks.filter((chunk) => !held.has(chunk.sha256));
      const chunkBytes = missing.reduce((sum, chunk) => sum + chunk.size, 0);
      const descriptorBytes = chunks.length * DESCRIPTOR_PER_CHUNK;
      const overheadBytes = missing.length * MQTT_PER_CHUNK;
      rows.push({
        ...{ model, update: update.name, way: way.name, modelBytes: after.length, chunks: chunks.length },
        ...{ missing: missing.length, chunkBytes, descriptorBytes, overheadBytes },
        share: (chunkBytes + descriptorBytes + overheadBytes) / after.length,
      });
    }
  }
}

if (values.json) {
  process.stdout.write(`${JSON.stringify({ mqttBytesPerChunk: MQTT_PER_CHUNK, rows }, null, 2)}\n`);
} else {
  const percent = (value) => `${(100 * value).toFixed(1)} %`;
  process.stdout.write('Missing chunks, descriptor and MQTT (chunks alone), in percent of the model file\n\n');
  process.stdout.write(`| model | update | ${WAYS.map((way) => way.name).join(' | ')} |\n`);
  process.stdout.write(`|---|---|${WAYS.map(() => '---:').join('|')}|\n`);
  for (const model of new Set(rows.map((row) => row.model))) {
    for (const update of UPDATES) {
      const cells = WAYS.map((way) => {
        const row = rows.find((r) => r.model === model && r.update === update.name && r.way === way.name);
        return `${percent(row.share)} (${percent(row.chunkBytes / row.modelBytes)})`;
      });
      process.stdout.write(`| ${model} | ${update.name} | ${cells.join(' | ')} |\n`);
    }
  }
  const means = WAYS.map((way) => {
    const own = rows.filter((row) => row.way === way.name);
    return percent(own.reduce((sum, row) => sum + row.share, 0) / own.length);
  });
  process.stdout.write(`| mean | | ${means.join(' | ')} |\n`);
}

import { describe, expect, it } from 'vitest';
import type { DecoderInput } from '../decoder.js';
import type { Box, Detection } from '../detection.js';
import { type ContentRectangle, WHOLE_FRAME } from '../frame.js';
import { makeAnchorFreeDecoder } from './anchor-free.js';
import { seeded } from './scene.inverse.js';
import { gridLocations } from './strides.js';

type AnchorFreeHead = DecoderInput & { strides: number[] };

/** The decoder on its two outputs alone. */
function makeDecode(
  head: AnchorFreeHead,
): (logits: Float32Array, distances: Float32Array, content: ContentRectangle) => Detection[] {
  const names = { logits: 'logits', distances: 'distances' };
  const decoder = makeAnchorFreeDecoder({ type: 'anchor-free', strides: head.strides, outputs: names }, head);
  const [{ dims: dimsOfLogits }, { dims: dimsOfDistances }] = decoder.outputs as unknown as { dims: number[] }[];
  return (logits, distances, content) =>
    decoder.decode(
      { logits: { data: logits, dims: dimsOfLogits }, distances: { data: distances, dims: dimsOfDistances } },
      content,
    );
}

function locationCount({ width, height, strides }: AnchorFreeHead): number {
  return gridLocations(width, height, strides);
}

interface Placed {
  /** Index of the stride and cell that carries the object. */
  level: number;
  x: number;
  y: number;
  classId: number;
  score: number;
  /** 0..1 of the model's frame; must hold the cell's centre. */
  box: Box;
}

/** The inverse of the decoder, written from models/training/README.md: objects → logits and distances. */
function encode(head: AnchorFreeHead, objects: readonly Placed[]): { logits: Float32Array; distances: Float32Array } {
  const locations = locationCount(head);
  const classes = head.labels.length;
  const logits = new Float32Array(locations * classes).fill(-20);
  const distances = new Float32Array(locations * 4);
  for (const { level, x, y, classId, score, box } of objects) {
    let first = 0;
    for (const stride of head.strides.slice(0, level)) first += (head.width / stride) * (head.height / stride);
    const stride = head.strides[level];
    const location = first + y * (head.width / stride) + x;
    logits[location * classes + classId] = -Math.log(1 / score - 1);
    const centre = { x: (x + 0.5) * stride, y: (y + 0.5) * stride };
    distances.set(
      [
        (centre.x - box[0] * head.width) / stride,
        (centre.y - box[1] * head.height) / stride,
        (box[2] * head.width - centre.x) / stride,
        (box[3] * head.height - centre.y) / stride,
      ],
      location * 4,
    );
  }
  return { logits, distances };
}

const HEAD: AnchorFreeHead = {
  width: 320,
  height: 192,
  strides: [8, 16, 32],
  labels: ['person', 'car', 'dog'],
  thresholds: [0.3, 0.3, 0.3],
};

function place(head: AnchorFreeHead, next: () => number): Placed {
  const level = Math.floor(next() * head.strides.length);
  const stride = head.strides[level];
  const x = Math.floor((next() * head.width) / stride);
  const y = Math.floor((next() * head.height) / stride);
  const centre = { x: ((x + 0.5) * stride) / head.width, y: ((y + 0.5) * stride) / head.height };
  const box: Box = [
    centre.x * (0.05 + 0.9 * next()),
    centre.y * (0.05 + 0.9 * next()),
    centre.x + (1 - centre.x) * (0.05 + 0.9 * next()),
    centre.y + (1 - centre.y) * (0.05 + 0.9 * next()),
  ];
  return { level, x, y, classId: Math.floor(next() * head.labels.length), score: 0.31 + 0.68 * next(), box };
}

describe('gridLocations', () => {
  it('is 2100 for the shipped detector', () => {
    expect(gridLocations(320, 320, [8, 16, 32])).toBe(2100);
    expect(gridLocations(320, 192, [8, 16, 32])).toBe(40 * 24 + 20 * 12 + 10 * 6);
    expect(gridLocations(416, 416, [8, 16, 32, 64])).toBe(52 * 52 + 26 * 26 + 13 * 13 + 7 * 7);
  });
});

describe('makeAnchorFreeDecoder', () => {
  it('gives back any objects that were encoded, in the order of their cells', () => {
    const decode = makeDecode(HEAD);
    for (let seed = 1; seed <= 200; seed++) {
      const next = seeded(seed);
      const cells = new Map<string, Placed>();
      for (let i = 0; i < 12; i++) {
        const object = place(HEAD, next);
        cells.set(`${object.level}:${object.y}:${object.x}`, object);
      }
      const objects = [...cells.values()].sort((a, b) => a.level - b.level || a.y - b.y || a.x - b.x);
      const { logits, distances } = encode(HEAD, objects);
      const found = decode(logits, distances, WHOLE_FRAME);
      expect(found.map((item) => item.label)).toEqual(objects.map(({ classId }) => HEAD.labels[classId]));
      for (const [index, { score, box }] of found.entries()) {
        expect(score).toBeCloseTo(objects[index].score, 5);
        for (let side = 0; side < 4; side++) expect(box[side]).toBeCloseTo(objects[index].box[side], 5);
      }
    }
  });

  it('maps boxes out of a letterbox and clips them to the picture', () => {
    const decode = makeDecode({ ...HEAD, height: 320 });
    const content = { x: 0, y: 0.25, width: 1, height: 0.5 };
    const inside: Placed = { level: 2, x: 5, y: 5, classId: 0, score: 0.9, box: [0.25, 0.375, 0.75, 0.625] };
    const across: Placed = { level: 2, x: 2, y: 3, classId: 0, score: 0.9, box: [0, 0.1, 0.5, 0.5] };
    const encoded = encode({ ...HEAD, height: 320 }, [inside, across]);
    const boxes = decode(encoded.logits, encoded.distances, content).map(({ box }) => box);
    const expected = [
      [0, 0, 0.5, 0.5],
      [0.25, 0.25, 0.75, 0.75],
    ];
    for (const [index, box] of boxes.entries()) {
      for (let side = 0; side < 4; side++) expect(box[side]).toBeCloseTo(expected[index][side], 5);
    }
    expect(boxes).toHaveLength(2);
  });

  it('leaves out what lies in the border of a letterbox', () => {
    const head = { ...HEAD, height: 320 };
    const border: Placed = { level: 2, x: 5, y: 0, classId: 0, score: 0.9, box: [0.4, 0, 0.6, 0.2] };
    const { logits, distances } = encode(head, [border]);
    expect(makeDecode(head)(logits, distances, { x: 0, y: 0.25, width: 1, height: 0.5 })).toEqual([]);
  });

  it('keeps scores at their class threshold and drops those below', () => {
    const decode = makeDecode({ ...HEAD, thresholds: [0.5, 0.8, 0.2] });
    const at = (x: number, classId: number, score: number): Placed => {
      const box: Box = [(x + 0.2) / 40, 0.01, (x + 0.9) / 40, 0.1];
      return { level: 0, x, y: 0, classId, score, box };
    };
    const { logits, distances } = encode(HEAD, [
      at(1, 0, 0.5),
      at(2, 0, 0.499),
      at(3, 1, 0.7),
      at(4, 1, 0.81),
      at(5, 2, 0.21),
    ]);
    const scores = decode(logits, distances, WHOLE_FRAME).map(({ label, score }) => `${label} ${score.toFixed(2)}`);
    expect(scores).toEqual(['person 0.50', 'car 0.81', 'dog 0.21']);
  });

  it('gives one detection per location: the best class over its own threshold', () => {
    const decode = makeDecode({ ...HEAD, thresholds: [0.3, 0.99, 0.3] });
    const box: Box = [0, 0, 0.2, 0.2];
    const { logits, distances } = encode(HEAD, [{ level: 0, x: 1, y: 1, classId: 0, score: 0.6, box }]);
    logits[(40 + 1) * 3 + 1] = 3; // car 0.95, under its threshold
    logits[(40 + 1) * 3 + 2] = -0.2; // dog 0.45
    expect(decode(logits, distances, WHOLE_FRAME).map(({ label }) => label)).toEqual(['person']);
  });

  it('survives outputs that are not numbers, infinite or empty', () => {
    const decode = makeDecode({ ...HEAD, thresholds: [0, 0, 0] });
    const locations = locationCount(HEAD);
    const nothing = new Float32Array(locations * 4);
    expect(decode(new Float32Array(locations * 3).fill(Number.NaN), nothing.fill(1), WHOLE_FRAME)).toEqual([]);
    expect(decode(new Float32Array(locations * 3), nothing.fill(Number.NaN), WHOLE_FRAME)).toEqual([]);
    expect(decode(new Float32Array(locations * 3), nothing.fill(0), WHOLE_FRAME)).toEqual([]);
    const all = decode(new Float32Array(locations * 3).fill(Infinity), nothing.fill(Infinity), WHOLE_FRAME);
    expect(all).toHaveLength(locations);
    expect(all[0]).toMatchObject({ score: 1, box: [0, 0, 1, 1] });
  });
});

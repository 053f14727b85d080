import { describe, expect, it } from 'vitest';
import { manifestText } from '../../test/package-fixture.js';
import { parseManifest } from './manifest-file.js';

const messageOf = (text: string): string => {
  try {
    parseManifest(text);
  } catch (error) {
    expect(error).toMatchObject({ code: 'MANIFEST_INVALID' });
    return (error as Error).message;
  }
  throw new Error('the manifest was accepted');
};

describe('parseManifest', () => {
  it('reads a valid manifest', () => {
    const manifest = parseManifest(manifestText());
    expect(manifest.input).toMatchObject({ width: 320, layout: 'NCHW' });
    expect(manifest.decoder).toMatchObject({ strides: [8, 16, 32] });
  });

  // The field and the way out must be in the message: that is what the reader acts on.
  it.each<[string, [string, string], RegExp]>([
    ['an unknown key', ['thresholds:', 'treshold: 1\nthresholds:'], /treshold: unknown key/],
    ['an unknown key inside', ['iou: 0.6,', 'iou: 0.6, IOU: 1,'], /nms\.IOU: unknown key/],
    [
      'NaN',
      ['default: 0.4', 'default: .nan'],
      /thresholds\.default: NaN is not allowed; write a finite number from 0 to 1/,
    ],
    ['infinity', ['default: 0.4', 'default: .inf'], /thresholds\.default: Infinity is not allowed/],
    [
      'minus infinity in a list',
      ['resize: stretch', 'resize: stretch, mean: [0, -.inf, 0]'],
      /input\.mean\[1\]: -Infinity/,
    ],
    [
      'a standard deviation of 0',
      ['resize: stretch', 'resize: stretch, std: [1, 0, 1]'],
      /input\.std\[1\]: 0 .* above 0/,
    ],
    ['a score above 1', ['default: 0.4', 'default: 40'], /thresholds\.default: 40 .* from 0 to 1/],
    ['a wrong word', ['resize: stretch', 'resize: squash'], /input\.resize: "squash" .* letterbox or stretch/],
    ['a version that YAML reads as a number', ['version: 1.0.0', 'version: 1.0'], /version: 1 .* semantic version/],
    ['a missing field', ['license: Apache-2.0\n', ''], /license: missing/],
    ['a key that stands twice', ['task: detect', 'task: detect\ntask: detect'], /YAML/],
    ['an alias', ['license: Apache-2.0', 'license: &l Apache-2.0\nprovenance: { a: *l }'], /aliases/],
    ['a path for a hash', ['a'.repeat(64), 'abc'], /model\.sha256: "abc"/],
    ['a stride that does not divide', ['[8, 16, 32]', '[8, 16, 48]'], /decoder\.strides\[2\]: 48/],
    ['one stride twice', ['[8, 16, 32]', '[8, 8]'], /decoder\.strides/],
    ['a decoder that is none', ['type: anchor-free', 'type: yolo9000'], /decoder\.type: "yolo9000" .* anchor-free or /],
    ['a decoder without a type', ['type: anchor-free, ', ''], /decoder\.type: missing; add anchor-free or /],
    ['a decoder that is no mapping', ['{ type: anchor-free', '[1] #'], /decoder: \[1\] .* a mapping/],
    ['a key of another decoder', ['strides: [8', 'topK: 5, strides: [8'], /decoder\.topK: unknown key/],
    ['a decoder without a parameter', ['strides: [8, 16, 32], ', ''], /decoder\.strides: missing; add a list/],
    ['a wrong value in a decoder', ['[8, 16, 32]', '[8, 16, many]'], /decoder\.strides\[2\]: "many" .* a whole number/],
    ['one output for two', ['distances: distances', 'distances: logits'], /decoder\.outputs: .* both "logits"/],
    ['a task of another decoder', ['task: detect', 'task: classify'], /task/],
    ['uint8 with a mean', ['dtype: float32', 'dtype: uint8, mean: [1, 2, 3]'], /input\.mean/],
    [
      'an empty golden box',
      ['detections: []', 'detections: [{ label: person, score: 0.5, box: [0.5, 0, 0.5, 1] }]'],
      /golden\[0\]\.detections\[0\]\.box/,
    ],
  ])('refuses %s', (_name, replace, message) => {
    expect(messageOf(manifestText({}, [replace]))).toMatch(message);
  });

  const DECODER =
    'decoder: { type: anchor-free, strides: [8, 16, 32], outputs: { logits: logits, distances: distances } }';
  it.each<[string, string, RegExp | undefined]>([
    ['yolov5', '{ type: yolov5, outputs: { predictions: output0 } }', undefined],
    ['yolov8', '{ type: yolov8, outputs: { predictions: output0 } }', undefined],
    ['yolov8 in two outputs', '{ type: yolov8, outputs: { boxes: b, scores: s }, boxFormat: xyxy }', undefined],
    ['yolov8 with no output', '{ type: yolov8, outputs: {} }', /decoder\.outputs: name predictions alone/],
    ['yolov8 with boxes alone', '{ type: yolov8, outputs: { boxes: b } }', /decoder\.outputs: name predictions alone/],
    ['yolov8 with both', '{ type: yolov8, outputs: { predictions: p, scores: s } }', /decoder\.outputs: name pred/],
    ['yolox', '{ type: yolox, outputs: { predictions: output } }', undefined],
    ['yolox, no stride', '{ type: yolox, strides: [7], outputs: { predictions: o } }', /decoder\.strides\[0\]: 7 does/],
    ['end2end', '{ type: end2end, outputs: { detections: output0 } }', undefined],
    [
      'end2end, half a box',
      '{ type: end2end, outputs: { detections: o }, columns: [x1, y1, w, h, score, class] }',
      /decoder\.columns: give x1/,
    ],
    ['nanodet', '{ type: nanodet, strides: [8, 16, 32, 64], outputs: { merged: output } }', undefined],
    ['nanodet, no output', '{ type: nanodet, strides: [8], outputs: {} }', /decoder\.outputs: name merged alone/],
    [
      'picodet, one name for two',
      '{ type: picodet, strides: [8, 16], outputs: { scores: [a, b], distributions: [c, a] } }',
      /decoder\.outputs: scores and distributions are both "a"/,
    ],
    [
      'picodet, a name too few',
      '{ type: picodet, strides: [8, 16], outputs: { scores: [a, b], distributions: [c] } }',
      /decoder\.outputs\.distributions: 1 names for 2 strides/,
    ],
  ])('judges the decoder %s', (_name, decoder, problem) => {
    const text = manifestText({}, [[DECODER, `decoder: ${decoder}`]]);
    if (problem === undefined) expect(parseManifest(text).decoder.type).toBe(decoder.match(/type: ([a-z0-9]+)/)?.[1]);
    else expect(messageOf(text)).toMatch(problem);
  });

  it('reads where a letterbox stands', () => {
    const text = (anchor: string) => manifestText({}, [['resize: stretch', `resize: letterbox, anchor: ${anchor}`]]);
    expect(parseManifest(text('top-left')).input.anchor).toBe('top-left');
    expect(messageOf(text('left'))).toMatch(/input\.anchor: "left" .* center or top-left/);
  });

  it.each(['', '[]', 'just text', ': :', '\u0000', '- &a [*a, *a]'])('refuses %j', (text) => {
    expect(messageOf(text)).toMatch(/^manifest\.yaml: /);
  });

  it('keeps its messages to one line of bounded length', () => {
    const message = messageOf(manifestText({}, [['resize: stretch', `resize: ${'x'.repeat(5000)}`]]));
    expect(message).not.toContain('\n');
    expect(message.length).toBeLessThan(300);
  });
});

import { makeSsdAnchors } from '../runtime/decoders/ssd-anchors.js';
import { type Clues, cells, type Guess, type InputHabit, SCALED_RGB } from './clues.js';
import { SSDLITE_ROWS, ssdliteAnchors } from './ssdlite-anchors.js';

type Output = Clues['outputs'][number];

/** Heads with boxes and scores as outputs of their own. */
export function guessPairs(clues: Clues): Guess[] {
  return [...guessFinished(clues), ...guessBoxesAndScores(clues)];
}

const BOXES = /box|dets|distance|loc|regress/i;
const CLASSES = /class|label|categor/i;
const SCORES = /score|conf|prob/i;
const COUNT = /num|count|valid/i;

/** Boxes, class ids and scores, a row each: post-processing is in the model. */
function guessFinished({ outputs }: Clues): Guess[] {
  // Exports bring raw outputs along; those with the plain names win.
  const plain = outputs.filter(({ name }) => !/raw|anchor|multiclass|mask|keypoint/i.test(name));
  const boxes = plain.find(({ sizes }) => sizes.at(-1) === 4 && sizes.length >= 2 && sizes.length <= 3);
  if (boxes === undefined) return [];
  const rows = boxes.sizes.at(-2);
  const vectors = plain.filter(
    ({ sizes }) =>
      sizes.length === boxes.sizes.length - 1 && (sizes.at(-1) ?? null) === (rows ?? null) && sizes.length > 0,
  );
  const scores = vectors.find(({ name }) => SCORES.test(name)) ?? vectors[1];
  const classes =
    vectors.find((output) => output !== scores && CLASSES.test(output.name)) ?? vectors.find((v) => v !== scores);
  if (scores === undefined || classes === undefined) return [];
  const count = plain.find(
    ({ name, sizes }) =>
      ![boxes.name, scores.name, classes.name].includes(name) && COUNT.test(name) && sizes.length <= 2,
  );
  const tensorflow = /detection_|TFLite|Postprocess|StatefulPartitionedCall/i.test(boxes.name) || count !== undefined;
  const named = BOXES.test(boxes.name) && SCORES.test(scores.name) && CLASSES.test(classes.name);
  const torchvision = boxes.sizes.length === 2;
  return [
    {
      family: 'ssd',
      confidence: named || count !== undefined ? 0.95 : 0.7,
      reason: `boxes, class ids and scores of ${rows ?? 'a varying number of'} detections${
        count ? ' and their count' : ''
      }: the model does its own post-processing${
        tensorflow ? ', as TensorFlow exports do' : torchvision ? ', as torchvision exports do' : ''
      }`,
      labels: null,
      decoder: {
        type: 'ssd',
        outputs: { boxes: boxes.name, classes: classes.name, scores: scores.name, ...(count && { count: count.name }) },
        boxes: tensorflow
          ? { order: 'yxyx', units: 'normalized' }
          : { order: 'xyxy', units: torchvision || !/bboxes/.test(boxes.name) ? 'pixels' : 'normalized' },
        labelOffset: tensorflow || torchvision || boxes.name === 'bboxes' ? -1 : 0,
      },
      input: tensorflow ? { color: 'RGB', resize: 'stretch' } : { ...SCALED_RGB, resize: 'stretch' },
    },
  ];
}

const ULTRAFACE: InputHabit = { color: 'RGB', mean: [127, 127, 127], std: [128, 128, 128], resize: 'stretch' };
const HALF: InputHabit = { color: 'RGB', mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5], resize: 'stretch' };

/** `[1, N, 4]` beside `[1, N, C]`. */
function guessBoxesAndScores(clues: Clues): Guess[] {
  if (clues.outputs.length > 4) return [];
  const guesses: Guess[] = [];
  for (const boxes of clues.outputs) {
    for (const scores of clues.outputs) {
      if (boxes !== scores && looksLikePair(boxes, scores)) guesses.push(...readPair(clues, boxes, scores));
    }
  }
  return guesses;
}

function looksLikePair(boxes: Output, scores: Output): boolean {
  const wide = boxes.sizes.length === 4 && boxes.sizes[2] === 1;
  if (boxes.sizes.at(-1) !== 4 || (boxes.sizes.length !== 3 && !wide)) return false;
  if (scores.sizes.length !== 3 || scores.sizes[1] !== boxes.sizes[1]) return false;
  // With four columns each, only a name can tell which is which.
  return scores.sizes[2] !== 4 || BOXES.test(boxes.name) || !BOXES.test(scores.name);
}

function readPair(clues: Clues, boxes: Output, scores: Output): Guess[] {
  const rows = boxes.sizes[1];
  const columns = scores.sizes[2];
  const names = { scores: scores.name, boxes: boxes.name };
  const what = `${rows ?? '?'} rows of 4 (${boxes.name}) beside ${columns ?? '?'} (${scores.name})`;
  const guesses: Guess[] = [];
  const strides = [8, 16, 32];
  if (rows !== null && rows === cells(clues, strides)) {
    const own = scores.name === 'logits' && boxes.name === 'distances';
    guesses.push({
      family: 'anchor-free',
      confidence: own ? 0.97 : 0.55,
      reason: `${what}, one per cell of strides ${strides.join(', ')}`,
      labels: columns,
      decoder: { type: 'anchor-free', strides, outputs: { logits: scores.name, distances: boxes.name } },
      input: { color: 'RGB', resize: 'stretch' },
    });
  }
  if (columns === 2 && rows !== null && rows > 1000 && boxes.sizes.length === 3) {
    const sure = rows === ultrafacePriors(clues);
    guesses.push({
      family: 'ultraface',
      confidence: sure ? 0.95 : 0.45,
      reason: `${what}: background and face${sure ? ', as many as UltraFace has priors at this size' : ''}`,
      labels: 1,
      decoder: { type: 'ultraface', outputs: names },
      input: ULTRAFACE,
    });
  }
  if (rows !== null && rows === cells(clues, strides)) {
    guesses.push({
      family: 'yolov8',
      confidence: /box/i.test(boxes.name) ? 0.7 : 0.4,
      reason: `${what}, one per cell of strides ${strides.join(', ')}, boxes decoded by the model (YOLO-NAS, PP-YOLOE)`,
      labels: columns,
      decoder: { type: 'yolov8', outputs: names, boxFormat: 'xyxy' },
      input: { ...SCALED_RGB, resize: 'letterbox', pad: 114 },
    });
  }
  const ssd = ssdAnchors(clues);
  const lite = rows === SSDLITE_ROWS && clues.width === 320 && clues.height === 320;
  if (lite && columns !== null && columns > 1) {
    const finished = scores.madeBy === 'Softmax';
    guesses.push({
      family: 'ssd-raw',
      confidence: 0.9,
      reason: `${what}, as many as torchvision's SSDlite has anchors`,
      labels: columns - 1,
      decoder: {
        type: 'ssd-raw',
        outputs: { boxes: boxes.name, scores: scores.name },
        anchors: ssdliteAnchors(),
        boxOrder: 'xywh',
        activation: finished ? 'none' : 'softmax',
      },
      input: HALF,
    });
  } else if (rows !== null && columns !== null && columns > 1 && (rows === ssd || rows > 1000)) {
    const sure = rows === ssd;
    const softmax = clues.operators.Softmax !== undefined;
    guesses.push({
      family: 'ssd-raw',
      confidence: sure ? 0.9 : 0.35,
      reason: `${what}${sure ? `, as many as TensorFlow's SSD has anchors at this size` : ', too many for a transformer'}`,
      labels: columns - 1,
      decoder: {
        type: 'ssd-raw',
        outputs: { boxes: boxes.name, scores: scores.name },
        anchors: { generate: {} },
        ...(softmax && { boxOrder: 'xywh' as const }),
        activation: softmax || scores.madeBy === 'Sigmoid' ? 'none' : 'sigmoid',
      },
      input: HALF,
    });
  }
  if (rows === null || rows <= 1000) {
    const named = /logit|pred_|dets|labels/i.test(`${scores.name} ${boxes.name}`);
    const classic = columns === 92 || (rows === 100 && columns !== 80);
    guesses.push({
      family: 'detr',
      confidence: rows === null ? (named ? 0.8 : 0.4) : named ? 0.95 : 0.75,
      reason: `${what}: the queries of a detection transformer`,
      labels: columns === null ? null : classic ? columns - 1 : columns,
      decoder: {
        type: 'detr',
        outputs: { logits: scores.name, boxes: boxes.name },
        activation: classic ? 'softmax' : 'sigmoid',
      },
      input: { ...SCALED_RGB, resize: 'stretch' },
    });
  }
  return guesses;
}

function ssdAnchors({ width, height }: Clues): number | null {
  return width === null || height === null ? null : makeSsdAnchors({ generate: {} }, width, height).length / 4;
}

/** UltraFace: strides 8, 16, 32, 64 with 3, 2, 2, 3 priors a cell. */
function ultrafacePriors(clues: Clues): number | null {
  if (clues.width === null) return null;
  return [3, 2, 2, 3].reduce((sum, priors, level) => sum + priors * (cells(clues, [8 << level]) ?? 0), 0);
}

import { type Clues, cells, classesSpeak, type Guess, IMAGENET, type InputHabit, SCALED_RGB } from './clues.js';
import { byUltralytics, extraColumns, isRtDetr } from './ultralytics.js';

const P3 = [8, 16, 32];
const P6 = [8, 16, 32, 64];
const P2 = [4, 8, 16, 32];

const LETTERBOX: InputHabit = { ...SCALED_RGB, resize: 'letterbox', pad: 114 };
const YOLOX: InputHabit = { color: 'BGR', resize: 'letterbox', anchor: 'top-left', pad: 114 };
const NANODET: InputHabit = {
  color: 'BGR',
  mean: [103.53, 116.28, 123.675],
  std: [57.375, 57.12, 58.395],
  resize: 'stretch',
};
/** NanoDet kept the shape of its pictures (`keep_ratio`, on black); NanoDet-Plus stretches them. */
const FIRST_NANODET: InputHabit = { ...NANODET, resize: 'letterbox', pad: 0 };
const FASTESTDET: InputHabit = { color: 'BGR', mean: [0, 0, 0], std: [255, 255, 255], resize: 'stretch' };

/** Box sides of distribution-focal heads: four times the bins. */
const FOCAL_WIDTHS = [32, 44, 68];

/** Heads with everything in one table, or one table (or a pair) per feature map. */
export function guessRows(clues: Clues): Guess[] {
  // Masks of a segmentation model stand beside its table.
  const tables = clues.outputs.filter(({ sizes }) => sizes.length < 4);
  // Maps that the rows were made of may stand beside them.
  const rows = tables.length === 1 && tables[0].sizes.length === 3 && tables[0].sizes[2] === 6;
  if (tables.length === 1 && (rows || clues.outputs.length <= 2)) {
    const [{ name, sizes }] = tables;
    if (sizes.length === 2) return guessList(name, sizes[0], sizes[1]);
    return sizes.length === 3 ? guessTable(clues, name, sizes[1], sizes[2]) : [];
  }
  if (clues.outputs.length === 1) return guessMap(clues);
  return guessLevels(clues);
}

function guessTable(clues: Clues, name: string, a: number | null, b: number | null): Guess[] {
  const guesses: Guess[] = [];
  const shape = `[1, ${a ?? '?'}, ${b ?? '?'}]`;
  const extra = extraColumns(clues);
  if (isRtDetr(clues)) return b === null ? [] : [rtDetr(name, shape, b)];
  if (b === 6 && (a === null || a <= 1000)) guesses.push(endToEnd(name, shape, a));
  if (b !== null && extra > 0 && b === 6 + extra && (a === null || a <= 1000))
    return [withMore(endToEnd(name, shape, a), extra, clues.metadata.task === 'obb')];
  if (b === null || b === 6 ? a !== null && b === null && a >= 5 : a !== null && a <= b && a >= 5) {
    guesses.push(...guessColumns(clues, name, shape, a as number, b));
  }
  if (a === null || b === null || b < 6 || a <= b) return guesses;
  const known = cells(clues, P3);
  if (b - 5 - extra < 1) return guesses;
  if (known === null || a === 3 * known || a === 3 * (cells(clues, P6) ?? 0)) {
    guesses.push({
      family: 'yolov5',
      confidence: known === null ? 0.4 : 0.93,
      reason: `${shape}: ${known === null ? 'rows' : 'three anchors per cell'} of box, objectness and ${b - 5 - extra} classes`,
      labels: b - 5 - extra,
      decoder: { type: 'yolov5', outputs: { predictions: name }, ...(extra > 0 && { extra }) },
      input: LETTERBOX,
    });
  }
  if (known === null || a === known || a === cells(clues, P6))
    guesses.push(...guessCells(clues, name, shape, a, b, known));
  return guesses;
}

/** A list of detections without a batch. */
function guessList(name: string, rows: number | null, columns: number | null): Guess[] {
  const shape = `[${rows ?? '?'}, ${columns ?? '?'}]`;
  // With as many rows as the file says, six or seven numbers are the scores of a classifier.
  if (rows !== null && rows <= 1) return [];
  if (columns === 7) {
    const columnsOf = ['skip', 'x1', 'y1', 'x2', 'y2', 'class', 'score'] as const;
    return [
      {
        ...endToEnd(name, shape, null),
        confidence: 0.75,
        reason: `${shape}: rows of picture, box, class and score, as YOLOv7 exports end to end`,
        decoder: { type: 'end2end', outputs: { detections: name }, columns: [...columnsOf] },
      },
    ];
  }
  return columns === 6 ? [endToEnd(name, shape, rows)] : [];
}

function endToEnd(name: string, shape: string, rows: number | null): Guess {
  return {
    family: 'end2end',
    confidence: rows === 300 || rows === 100 ? 0.95 : rows === null ? 0.6 : 0.85,
    reason: `${shape}: rows of box, score and class, already suppressed`,
    labels: null,
    decoder: { type: 'end2end', outputs: { detections: name } },
    input: LETTERBOX,
  };
}

/** The queries of Ultralytics' RT-DETR: its best classes as rows, or every class of each (older exports; suppression does no harm). */
function rtDetr(name: string, shape: string, columns: number): Guess {
  const what = 'centres and sizes, 0..1, as Ultralytics exports RT-DETR';
  const input: InputHabit = { ...SCALED_RGB, resize: 'stretch' };
  if (columns === 6) {
    const decoder: Guess['decoder'] = {
      type: 'end2end',
      outputs: { detections: name },
      columns: ['cx', 'cy', 'w', 'h', 'score', 'class'],
      units: 'normalized',
    };
    return { family: 'end2end', confidence: 0.95, reason: `${shape}: rows of ${what}`, labels: null, decoder, input };
  }
  return {
    family: 'yolov8',
    confidence: 0.9,
    reason: `${shape}: rows of ${what}, and ${columns - 4} classes`,
    labels: columns - 4,
    decoder: { type: 'yolov8', outputs: { predictions: name }, layout: 'channels-last', units: 'normalized' },
    input,
  };
}

/** The same rows with values behind them; turned boxes have a centre and a size. */
function withMore(guess: Guess, extra: number, turned: boolean): Guess {
  const box = turned ? (['cx', 'cy', 'w', 'h'] as const) : (['x1', 'y1', 'x2', 'y2'] as const);
  const columns = [...box, 'score' as const, 'class' as const, ...new Array<'skip'>(extra).fill('skip')];
  const { outputs } = guess.decoder as Extract<Guess['decoder'], { type: 'end2end' }>;
  return {
    ...guess,
    reason: `${guess.reason}; ${extra} values more (masks, key points or an angle) are not read`,
    decoder: { type: 'end2end', outputs, columns },
  };
}

/** Channels first: 4 + C rows, a column per cell. */
function guessColumns(clues: Clues, name: string, shape: string, a: number, b: number | null): Guess[] {
  const strides = [P3, P6, P2].find((list) => b !== null && b === cells(clues, list));
  const extra = extraColumns(clues);
  const classes = a - 4 - extra;
  if (classes < 1) return [];
  return [
    {
      family: 'yolov8',
      confidence: strides === undefined && !byUltralytics(clues) ? 0.6 : 0.95,
      reason: `${shape}: 4 box rows and ${classes} classes${strides ? `, a column per cell of strides ${strides.join(', ')}` : ''}${
        extra ? `; ${extra} values more (masks, key points or an angle) are not read` : ''
      }`,
      labels: classes,
      decoder: { type: 'yolov8', outputs: { predictions: name }, ...(extra > 0 && { extra }) },
      input: LETTERBOX,
    },
  ];
}

/** Cells first, one row each: three families write this; the number of columns and of feature maps tell them apart. */
function guessCells(clues: Clues, name: string, shape: string, a: number, b: number, known: number | null): Guess[] {
  const sixLevels = known !== null && a !== known;
  const strides = sixLevels ? P6 : P3;
  const where = known === null ? '' : `, a row per cell of strides ${strides.join(', ')}`;
  const guess = (
    family: 'yolox' | 'yolov5' | 'yolov8' | 'nanodet',
    base: number,
    classes: number,
    habit: InputHabit,
    what: string,
    decoder: object,
  ): Guess[] =>
    classes < 1
      ? []
      : [
          {
            family,
            confidence: Math.max(
              0.05,
              Math.min(0.95, base + classesSpeak(clues, classes) - (known === null ? 0.2 : 0)),
            ),
            reason: `${shape}: ${what} and ${classes} classes${where}`,
            labels: classes,
            decoder: { type: family, outputs: { predictions: name }, ...decoder } as Guess['decoder'],
            input: habit,
          },
        ];
  const focal = FOCAL_WIDTHS.filter((width) => b > width).map((width) => ({ width, classes: b - width }));
  return [
    ...(sixLevels
      ? []
      : guess('yolox', 0.55, b - 5, YOLOX, 'box, objectness', clues.operators.Exp ? { decoded: true } : {})),
    ...(sixLevels ? [] : guess('yolov5', 0.4, b - 5, LETTERBOX, 'box in pixels, objectness (YOLOv6)', {})),
    ...(sixLevels ? [] : guess('yolov8', 0.45, b - 4, LETTERBOX, 'box', { layout: 'channels-last' })),
    ...focal.slice(0, 1).flatMap(({ width, classes }) =>
      guess('nanodet', sixLevels ? 0.6 : 0.35, classes, NANODET, `${width} columns of box distributions`, {
        outputs: { merged: name },
        strides,
        ...binsOf(width),
      }),
    ),
  ];
}

/** One map of 5 + C channels. */
function guessMap({ outputs, width, height }: Clues): Guess[] {
  const [{ name, sizes }] = outputs;
  const [, channels, rows, columns] = sizes;
  if (sizes.length !== 4 || channels === null || channels < 6 || rows === 1 || columns === 1) return [];
  const sure = width !== null && columns === width / 16 && height !== null && rows === height / 16;
  return [
    {
      family: 'fastestdet',
      confidence: sure ? 0.92 : 0.5,
      reason: `one map of ${channels} channels${sure ? ', a cell for 16 pixels' : ''}: objectness, box and ${channels - 5} classes`,
      labels: channels - 5,
      decoder: { type: 'fastestdet', outputs: { map: name } },
      input: FASTESTDET,
    },
  ];
}

/** Class scores and box distributions as outputs of their own, level by level. Names lie (some exports mix them up), shapes do not. */
function guessLevels(clues: Clues): Guess[] {
  const tables = clues.outputs.map(({ name, sizes }) => ({
    name,
    rows: sizes.at(-2) ?? null,
    width: sizes.at(-1) ?? null,
  }));
  if (clues.outputs.some(({ sizes }) => sizes.length < 2 || sizes.length > 3)) return [];
  const levels: { scores: string; boxes: string; classes: number; width: number; stride: number }[] = [];
  for (const stride of P6) {
    const rows = cells(clues, [stride]);
    const pair = tables.filter((table) => table.rows === rows && rows !== null);
    const boxes = pair.find(({ width }) => FOCAL_WIDTHS.includes(width ?? 0));
    const scores = pair.find((table) => table !== boxes);
    if (pair.length !== 2 || boxes === undefined || scores === undefined || scores.width === null) break;
    levels.push({ scores: scores.name, boxes: boxes.name, classes: scores.width, width: boxes.width ?? 0, stride });
  }
  if (levels.length < 2 || 2 * levels.length !== tables.length) return [];
  const [{ classes, width }] = levels;
  const strides = levels.map(({ stride }) => stride);
  const reason = `${levels.length} pairs of ${classes} scores and box distributions, one per cell of strides ${strides.join(', ')}`;
  const decoder = {
    strides,
    ...binsOf(width),
    outputs: { scores: levels.map(({ scores }) => scores), distributions: levels.map(({ boxes }) => boxes) },
  };
  // NanoDet has three feature maps; PicoDet and NanoDet-Plus have four, and the latter writes one table.
  const three = strides.length === 3;
  return [
    {
      family: 'nanodet',
      confidence: three ? 0.92 : 0.4,
      reason,
      labels: classes,
      decoder: { type: 'nanodet', ...decoder },
      input: three ? FIRST_NANODET : NANODET,
    },
    {
      family: 'picodet',
      confidence: three ? 0.3 : 0.85,
      reason,
      labels: classes,
      decoder: { type: 'picodet', ...decoder },
      input: { ...IMAGENET, resize: 'stretch' },
    },
  ];
}

function binsOf(width: number): { regMax?: number } {
  return width === 32 ? {} : { regMax: width / 4 - 1 };
}

import { type Clues, type Guess, IMAGENET, SCALED_RGB } from './clues.js';

/** One vector of scores. */
export function guessClassifier(clues: Clues): Guess[] {
  if (clues.outputs.length !== 1) return [];
  const [{ name, sizes, madeBy }] = clues.outputs;
  const wide = sizes.filter((size, at) => at > 0 && size !== 1);
  const vector =
    sizes.length === 2 || (sizes.length === 4 && (wide.length === 1 || sizes.slice(1).every((s) => s === 1)));
  if (!vector) return [];
  const classes = sizes.length === 2 ? sizes[1] : (wide[0] ?? 1);
  const finished = madeBy === 'Softmax' || madeBy === 'Sigmoid';
  // Rows of six or seven numbers without a batch are detections, unless the last layer says otherwise.
  const list =
    sizes[0] === null && (classes === 6 || classes === 7) && !finished && madeBy !== 'Gemm' && madeBy !== 'MatMul';
  const unsure = classes === null || list || (sizes[0] ?? 1) !== 1;
  const ultralytics = clues.metadata.task === 'classify';
  const known = classes === 1000 || classes === 1001;
  // TensorFlow's ImageNet models have a background in column 0.
  const background = classes === 1001;
  return [
    {
      family: 'classify',
      confidence: ultralytics ? 0.97 : known ? 0.95 : unsure ? 0.5 : 0.85,
      reason: `one output of ${classes ?? 'some'} scores${known ? ', as many as ImageNet has classes' : ''}${
        finished ? `, out of a ${madeBy}` : ''
      }`,
      labels: classes === null ? null : background ? 1000 : classes,
      decoder: {
        type: 'classify',
        outputs: { logits: name },
        // A softmax over one score is always 1.
        activation: finished || ultralytics ? 'none' : classes === 1 ? 'sigmoid' : 'softmax',
        topK: 5,
        ...(background && { labelOffset: -1 }),
      },
      input: { ...(ultralytics ? SCALED_RGB : IMAGENET), resize: 'stretch' },
    },
  ];
}

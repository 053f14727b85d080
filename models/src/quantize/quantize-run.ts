import { openDataset } from '../evaluate/open-dataset.js';
import type { InputSpec } from '../package/manifest.js';
import type { QuantizeTarget } from './arithmetic.js';
import { chooseMethod, type MethodScore } from './calibrate-auto.js';
import { type CalibrationMethod, needsHistograms } from './calibrate-method.js';
import { calibrateModel } from './calibrate-model.js';
import { inputTensors, listPictures } from './calibration-pictures.js';
import { findFloatBlock } from './float-block.js';
import type { BlockReport, DropReport, LayerReport } from './layer-report.js';
import { measureLayers } from './layer-report-measure.js';
import { type Judge, type JudgedModel, judgeByAgreement, judgeByLabels, type Reading } from './max-drop-judge.js';
import { takeTensors } from './max-drop-order.js';
import { limitDrop } from './max-drop-run.js';
import { type BuiltModel, buildInt8, type CalibratedModel, chooseRanges } from './quantize-build.js';
import { readingWith, splitHeldOut, spreadOver } from './quantize-input.js';

export interface QuantizeRun {
  modelPath: string;
  bytes: Uint8Array;
  input: InputSpec;
  /** The manifest beside the model, if any. */
  reading: Reading | undefined;
  /** Folder of calibration pictures. */
  calibration: string;
  target: QuantizeTarget;
  method: CalibrationMethod | 'auto';
  quantile: number;
  percentile: number | undefined;
  headroom: number;
  inputType: 'auto' | 'uint8' | 'float32';
  /** Of the INT8 model's input; NHWC needs bytes. */
  inputLayout?: 'NCHW' | 'NHWC';
  exclude: ReadonlySet<string>;
  /** `auto` leaves a harmful block of layers in float when it does no more of the multiplications than this, 0..1. */
  floatShare: number;
  /** Whether the report per layer is wanted; it changes nothing in the model. */
  measure: boolean;
  maxDrop: number | undefined;
  /** Data set with labels to judge by, for `maxDrop`. */
  data: string | undefined;
  onProgress: (what: string, done: number, total: number) => void;
}

/** Pictures by which methods are compared. */
const FEW = 8;
/** Pictures by which a model per layer, or some 40, are compared. */
const FEWEST = 4;
/** Pictures of the report per layer. */
const MEASURED = 16;

export interface QuantizeResult {
  built: BuiltModel;
  methods?: MethodScore[];
  block?: BlockReport;
  drop?: DropReport;
  quality?: LayerReport;
}

/** The whole of `vigie-models quantize`: calibrate, choose, build, put layers back, measure. Nothing is written. */
export async function runQuantize(run: QuantizeRun): Promise<QuantizeResult> {
  const { bytes, input, target, onProgress, maxDrop } = run;
  // before an hour of work: what it would fail by
  const reading = maxDrop === undefined ? undefined : readingWith(run.reading, run.modelPath, input);
  const byLabels = reading && run.data ? judgeByLabels(reading, await openDataset(run.data), run.data) : undefined;

  const pictures = await listPictures(run.calibration);
  const auto = run.method === 'auto';
  const hold = auto || (maxDrop !== undefined && !byLabels);
  const split = hold
    ? splitHeldOut(pictures)
    : { calibration: pictures, heldOut: pictures, what: 'calibration pictures' };
  const calibrated = await calibrateModel(bytes, inputTensors(split.calibration, input), {
    scaling: { mean: input.mean ?? [0, 0, 0], std: input.std ?? [1, 1, 1] },
    inputType: run.inputType,
    constants: input.constants,
    histograms: run.method === 'auto' || needsHistograms(run.method),
    onPicture: (done) => onProgress('calibrating', done, split.calibration.length),
  });
  const tensorsOf = (paths: readonly string[]): AsyncGenerator<Float32Array> =>
    inputTensors(paths, { ...input, mean: [...calibrated.scaling.mean], std: [...calibrated.scaling.std] });
  const few = auto || maxDrop !== undefined ? await takeTensors(tensorsOf(spreadOver(split.heldOut, FEW))) : [];

  const choice = { quantile: run.quantile, percentile: run.percentile, headroom: run.headroom };
  const chosen =
    run.method === 'auto'
      ? await chooseMethod(calibrated, { target, exclude: run.exclude }, choice, few, (done, total) =>
          onProgress('trying methods', done, total),
        )
      : { ranges: chooseRanges(calibrated, { ...choice, method: run.method }), methods: undefined };
  const { ranges } = chosen;
  // --max-drop looks for itself
  const found =
    auto && maxDrop === undefined
      ? await findFloatBlock(
          calibrated,
          { target, exclude: run.exclude, ranges },
          spreadOver(few, FEWEST),
          (done, total) => onProgress('looking for a harmful block', done, total),
        )
      : undefined;
  const block = found && { ...found, taken: found.share !== undefined && found.share <= run.floatShare };
  const exclude = new Set([...run.exclude, ...(block?.taken ? block.layers : [])]);
  const options = { target, exclude, ranges };

  let built: BuiltModel;
  let drop: DropReport | undefined;
  if (reading && maxDrop !== undefined) {
    const float: JudgedModel = { bytes, inputType: 'float32' };
    const judge: Judge =
      byLabels ??
      (await judgeByAgreement(reading, float, split.heldOut, split.what, (done, total) =>
        onProgress('looking with the float model', done, total),
      ));
    ({ built, drop } = await limitDrop(calibrated, options, judge, {
      maxDrop,
      float,
      tensors: spreadOver(few, FEWEST),
      onStep: onProgress,
    }));
  } else built = buildInt8(calibrated, options);

  const quality = run.measure ? await measure(run, calibrated, built, split, tensorsOf) : undefined;
  if (run.inputLayout === 'NHWC') {
    // the same bytes in another order: all that was measured holds
    const back = [...exclude, ...(drop?.backToFloat ?? [])];
    built = buildInt8(calibrated, { ...options, exclude: new Set(back), inputLayout: 'NHWC' });
  }
  return { built, methods: chosen.methods, block, drop, quality };
}

async function measure(
  run: QuantizeRun,
  calibrated: CalibratedModel,
  built: BuiltModel,
  split: { heldOut: string[]; what: string },
  tensorsOf: (paths: readonly string[]) => AsyncGenerator<Float32Array>,
): Promise<LayerReport> {
  const other = run.data ? (await openDataset(run.data)).pictures.map(({ file }) => file) : undefined;
  const paths = spreadOver(other ?? split.heldOut, MEASURED);
  const what = other ? `pictures of ${run.data}` : split.what;
  return measureLayers(calibrated, built, tensorsOf(paths), what, (done) =>
    run.onProgress('measuring layers', done, paths.length),
  );
}

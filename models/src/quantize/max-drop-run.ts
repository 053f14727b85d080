import type { DropReport } from './layer-report.js';
import { searchFloatLayers } from './max-drop.js';
import type { Judge, JudgedModel } from './max-drop-judge.js';
import { rankLayers } from './max-drop-order.js';
import { type BuildOptions, type BuiltModel, buildInt8, type CalibratedModel } from './quantize-build.js';
import { QuantizeError } from './quantize-error.js';

export interface DropSettings {
  /** Largest loss of the judge's score allowed, 0..1. */
  maxDrop: number;
  /** The float file as it was given. */
  float: JudgedModel;
  /** A few pictures as the calibrated model's input, to rank the layers by; each of its own memory. */
  tensors: readonly Float32Array[];
  onStep?: (what: string, done: number, total: number) => void;
}

/**
 * Puts layers back to float, worst first, until the judge's score is within `maxDrop` of the float model's.
 * @throws QuantizeError MAX_DROP_UNREACHED when it is not, even with a single layer left in INT8
 */
export async function limitDrop(
  calibrated: CalibratedModel,
  options: BuildOptions,
  judge: Judge,
  { maxDrop, float, tensors, onStep }: DropSettings,
): Promise<{ built: BuiltModel; drop: DropReport }> {
  const floatScore = await judge.score(float, (done, total) => onStep?.('judging the float model', done, total));
  let order: string[] | undefined;
  let layers = buildInt8(calibrated, options).layers.length;
  const buildWithout = (count: number): BuiltModel => {
    const back = (order ?? []).slice(0, count);
    return buildInt8(calibrated, { ...options, exclude: new Set([...(options.exclude ?? []), ...back]) });
  };
  const scoreOf = async (count: number): Promise<number> => {
    if (count > 0 && order === undefined) {
      // only now: most models need no layer back, and ranking takes one model per layer
      const ranked = await rankLayers(calibrated, options, tensors, (done, total) =>
        onStep?.('ranking layers', done, total),
      );
      order = ranked.map(({ name }) => name);
      layers = order.length;
    }
    const { bytes, report } = buildWithout(count);
    return judge.score({ bytes, inputType: report.inputType }, (done, total) =>
      onStep?.(`judging with ${count} of ${layers} layers in float`, done, total),
    );
  };
  const found = await searchFloatLayers(layers - 1, floatScore, maxDrop, scoreOf);
  if (!found.reached) {
    throw new QuantizeError(
      'MAX_DROP_UNREACHED',
      `${judge.metric}: the float model has ${floatScore.toFixed(4)}; INT8 comes to ${found.score.toFixed(4)} at best, with ` +
        `${found.floatLayers} of ${layers} layers in float, which loses more than ${maxDrop}. Keep the float model ` +
        '(--precision fp16 halves its file), try --method auto, or allow a larger --max-drop',
    );
  }
  return {
    built: buildWithout(found.floatLayers),
    drop: {
      metric: judge.metric,
      maxDrop,
      floatScore,
      score: found.score,
      loss: floatScore - found.score,
      backToFloat: (order ?? []).slice(0, found.floatLayers),
      path: found.path,
    },
  };
}

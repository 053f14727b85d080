import { findFloatBlock } from './float-block.js';
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
 * Puts layers back to float until the judge's score is within `maxDrop` of the float model's: first a block of neighbours
 * that harms the outputs as a whole, then layers by the harm that each does alone.
 * @throws QuantizeError MAX_DROP_UNREACHED when it is not, even with a single layer left in INT8
 */
export async function limitDrop(
  calibrated: CalibratedModel,
  options: BuildOptions,
  judge: Judge,
  { maxDrop, float, tensors, onStep }: DropSettings,
): Promise<{ built: BuiltModel; drop: DropReport }> {
  const floatScore = await judge.score(float, (done, total) => onStep?.('judging the float model', done, total));
  let order: string[] = [];
  const layers = buildInt8(calibrated, options).layers.length;
  const buildWithout = (back: readonly number[]): BuiltModel => {
    const names = back.map((place) => order[place]);
    return buildInt8(calibrated, { ...options, exclude: new Set([...(options.exclude ?? []), ...names]) });
  };
  let asked = 0;
  const scoreOf = async (back: readonly number[]): Promise<number> => {
    // only where the block does not do: ranking takes one model per layer
    if (back.length > order.length) {
      const ranked = await rankLayers(calibrated, options, tensors, (done, total) =>
        onStep?.('ranking layers', done, total),
      );
      order = [...new Set([...order, ...ranked.map(({ name }) => name)])];
    }
    const { bytes, report } = buildWithout(back);
    asked++;
    return judge.score({ bytes, inputType: report.inputType }, (done, total) =>
      onStep?.(`judging ${asked}: ${back.length} of ${layers} layers in float`, done, total),
    );
  };
  const found = await searchFloatLayers(layers - 1, floatScore, maxDrop, scoreOf, async () => {
    const block = await findFloatBlock(calibrated, options, tensors, (done, total) =>
      onStep?.('looking for a harmful block', done, total),
    );
    order = block?.layers ?? [];
    return Math.max(1, order.length);
  });
  if (!found.reached) {
    throw new QuantizeError(
      'MAX_DROP_UNREACHED',
      `${judge.metric}: the float model has ${floatScore.toFixed(4)}; INT8 comes to ${found.score.toFixed(4)} at best, with ` +
        `${found.back.length} of ${layers} layers in float, which loses more than ${maxDrop}. Keep the float model ` +
        '(--precision fp16 halves its file), try --method auto, or allow a larger --max-drop',
    );
  }
  return {
    built: buildWithout(found.back),
    drop: {
      metric: judge.metric,
      maxDrop,
      floatScore,
      score: found.score,
      loss: floatScore - found.score,
      backToFloat: found.back.map((place) => order[place]),
      path: found.path,
    },
  };
}

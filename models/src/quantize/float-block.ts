import { layerCosts } from './layer-cost.js';
import type { FloatBlock } from './layer-report.js';
import { floatOutputs, outputDecibels } from './max-drop-order.js';
import { decodeModel } from './onnx-proto.js';
import { type BuildOptions, buildInt8, type CalibratedModel } from './quantize-build.js';

/**
 * Largest share of the multiplications that `auto` leaves in float for the sake of the outputs. YOLOX-Nano's first block does 16 %: with it in
 * INT8 the model loses half of its AP, without it a point, for a seventh more time.
 */
export const DEFAULT_FLOAT_SHARE = 0.2;
/** dB. Outputs this near to the float model's need no search. */
const GOOD_ENOUGH = 20;
/** dB that a block must bring; less is what another choice of pictures would change. */
const LEAST_GAIN = 3;
/** dB of the gain that may be given up for each end of the block that goes back to INT8. */
const NARROWING = 0.75;
const WINDOWS = 16;
const SHORTEST_WINDOW = 3;

/**
 * Looks for the run of layers, in graph order, whose return to float helps the outputs most, and narrows it to those that
 * matter. One layer at a time shows nothing where several in a row are at fault: each alone drowns in the others' noise. Tries
 * some 40 models, however deep the network.
 * @param tensors a few pictures as the float model's input, each of its own memory
 * @returns undefined when the outputs are near to the float model's anyway, or no run brings 3 dB
 */
export async function findFloatBlock(
  calibrated: CalibratedModel,
  options: BuildOptions,
  tensors: readonly Float32Array[],
  onModel?: (done: number, total: number) => void,
): Promise<FloatBlock | undefined> {
  const exact = await floatOutputs(calibrated, tensors);
  const whole = buildInt8(calibrated, options);
  const names = whole.layers.map(({ name }) => name);
  const before = await outputDecibels(calibrated, whole.bytes, tensors, exact);
  if (before >= GOOD_ENOUGH || names.length <= SHORTEST_WINDOW) return undefined;
  const scoreWithout = async ([start, end]: Span): Promise<number> => {
    const exclude = new Set([...(options.exclude ?? []), ...names.slice(start, end)]);
    return outputDecibels(calibrated, buildInt8(calibrated, { ...options, exclude }).bytes, tensors, exact);
  };
  const spans = overlappingSpans(names.length);
  let best: { span: Span; score: number } | undefined;
  for (const [i, span] of spans.entries()) {
    const score = await scoreWithout(span);
    if (!best || score > best.score) best = { span, score };
    onModel?.(i + 1, spans.length);
  }
  if (!best || best.score < before + LEAST_GAIN) return undefined;
  const span = await narrow(best.span, Math.max(best.score - NARROWING, before + LEAST_GAIN), scoreWithout);
  const layers = names.slice(...span);
  const costs = layerCosts(decodeModel(calibrated.floatBytes).graph);
  const share = costs.size === 0 ? undefined : layers.reduce((sum, name) => sum + (costs.get(name) ?? 0), 0);
  return { layers, before, after: await scoreWithout(span), share };
}

/** First layer, and the one behind the last. */
type Span = [start: number, end: number];

/** Each overlaps the next by half, so that a short run is whole in one of them; never all layers. */
export function overlappingSpans(layers: number): Span[] {
  const length = Math.min(Math.max(SHORTEST_WINDOW, Math.ceil(layers / WINDOWS)), layers - 1);
  const step = Math.max(1, Math.floor(length / 2));
  const spans: Span[] = [];
  for (let start = 0; spans.at(-1)?.[1] !== layers; start += step) {
    const end = Math.min(start + length, layers);
    spans.push([end - length, end]);
  }
  return spans;
}

/** Gives up layers at the end, then at the start, by halving, as long as the score stays at `least` or above. */
export async function narrow(span: Span, least: number, scoreOf: (span: Span) => Promise<number>): Promise<Span> {
  let [start, end] = span;
  let tooShort = start;
  while (end - tooShort > 1) {
    const middle = Math.floor((tooShort + end) / 2);
    if ((await scoreOf([start, middle])) >= least) end = middle;
    else tooShort = middle;
  }
  let tooLate = end;
  while (tooLate - start > 1) {
    const middle = Math.floor((start + tooLate) / 2);
    if ((await scoreOf([middle, end])) >= least - NARROWING) start = middle;
    else tooLate = middle;
  }
  return [start, end];
}

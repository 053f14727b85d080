import { type ActivationParameters, activationParameters, type Range } from './arithmetic.js';
import type { QuantizationPlan } from './plan.js';

/**
 * Scale and zero point of every group of tensors.
 * @param ranges leader → the range measured for its group; needed where neither the operator nor `given` says it
 * @param given tensor → parameters laid down from outside (the picture's bytes); added to the plan where they are not in it
 */
export function resolveParameters(
  plan: QuantizationPlan,
  ranges: ReadonlyMap<string, Range>,
  given: ReadonlyMap<string, ActivationParameters> = new Map(),
): Map<string, ActivationParameters> {
  const parameters = new Map<string, ActivationParameters>();
  for (const [leader, range] of ranges) parameters.set(leader, boundedParameters(range, plan.bounds.get(leader)));
  for (const [leader, fixed] of plan.fixed) parameters.set(leader, fixed);
  for (const [name, fixed] of given) {
    plan.tensors.add(name);
    const leader = plan.leader.get(name) ?? name;
    plan.leader.set(name, leader);
    parameters.set(leader, fixed);
  }
  // in graph order: one may follow from another
  for (const [name, { source, factor }] of plan.rescaled) {
    const from = parameters.get(plan.leader.get(source)!);
    if (!from) continue;
    parameters.set(plan.leader.get(name)!, { scale: Math.fround(from.scale * factor), zeroPoint: from.zeroPoint });
  }
  return parameters;
}

/**
 * Levels inside what a fused Relu or Clip leaves, so that saturation does its work. A bound that cuts the measured range
 * is met exactly: it is a number of the model's, the same on every machine.
 */
function boundedParameters(range: Range, bounds: Range | undefined): ActivationParameters {
  if (!bounds) return activationParameters(range);
  const min = Math.max(Math.min(range.min, 0), bounds.min);
  const max = Math.min(Math.max(range.max, 0), bounds.max);
  const coarse = activationParameters({ min, max });
  const half = coarse.scale / 2;
  const top = (255 - coarse.zeroPoint) * coarse.scale;
  if (top <= bounds.max + half && -coarse.zeroPoint * coarse.scale >= bounds.min - half) return coarse;
  const scale = Math.fround((max - min) / 255);
  return { scale, zeroPoint: Math.min(255, Math.max(0, Math.round(-min / scale))) };
}

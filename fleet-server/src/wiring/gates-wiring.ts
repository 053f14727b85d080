import type { Core, Feature } from './feature-wiring.js';

/** Benchmark results, the gates that judge them, and the certificates that follow. */
export function wireGates(_core: Core): Feature {
  return {};
}

import type { Core, Feature } from './feature-wiring.js';

/** Releases to boards, in waves. */
export function wireRollouts(_core: Core): Feature {
  return {};
}

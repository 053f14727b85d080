import type { Box } from '@vigie/models/runtime/detection';

/**
 * True for the box of a classifier's label, which speaks of the whole picture: nothing moves in it, and nothing is to be
 * outlined. A detector's box only gets there when an object fills the picture to its last column, and then it is no loss.
 */
export function isWholeFrame([x1, y1, x2, y2]: Box): boolean {
  return x1 === 0 && y1 === 0 && x2 === 1 && y2 === 1;
}

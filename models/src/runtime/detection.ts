/** [x1, y1, x2, y2], each 0..1 of the frame's width and height, origin top left. */
export type Box = readonly [number, number, number, number];

/** One object found in one frame. */
export interface Detection {
  classId: number;
  label: string;
  /** 0..1 */
  score: number;
  box: Box;
}

/** Intersection over union of two boxes; 0 when either is empty. */
export function intersectionOverUnion(a: Box, b: Box): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const overlap = width * height;
  const union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap;
  return union > 0 ? overlap / union : 0;
}

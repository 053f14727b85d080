/** [x, y], each 0..1 of the picture, origin top left. */
export type Point = readonly number[];

/** Where an object stands: the middle of its box's lower edge. */
export function footOf([x1, , x2, y2]: readonly number[]): Point {
  return [(x1 + x2) / 2, y2];
}

/** Even-odd rule by a ray to the right (W. R. Franklin, PNPOLY). */
export function isInside([x, y]: Point, polygon: readonly Point[]): boolean {
  let inside = false;
  for (let index = 0, before = polygon.length - 1; index < polygon.length; before = index++) {
    const [x1, y1] = polygon[index];
    const [x2, y2] = polygon[before];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
  }
  return inside;
}

/** Twice the signed area of a, b, p: below 0 when p is on the left as one looks from a to b (the y axis points down). */
function side([ax, ay]: Point, [bx, by]: Point, [px, py]: Point): number {
  return (bx - ax) * (py - ay) - (by - ay) * (px - ax);
}

/** How a step from `before` to `now` crosses the line; null: it does not. A step that only touches it crosses nothing. */
export function crossing(
  before: Point,
  now: Point,
  { from, to }: { from: Point; to: Point },
): 'left-to-right' | 'right-to-left' | null {
  const was = side(from, to, before);
  const is = side(from, to, now);
  if (was === 0 || is === 0 || was < 0 === is < 0) return null;
  // Past the ends of the line is not across it.
  if (side(before, now, from) < 0 === side(before, now, to) < 0) return null;
  return was < 0 ? 'left-to-right' : 'right-to-left';
}

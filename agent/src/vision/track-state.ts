import type { Box, Detection } from '@vigie/models/runtime/detection';

/** How long a track remembers its scores and places, ms. */
const MEMORY_MS = 1500;
/** Samples kept in that time: enough for 30 fps; older ones are overwritten. */
const MEMORY = 48;
/** Share of a new box in the smoothed one (alpha of an alpha-beta filter); sizes move slower than places. */
const PLACE_GAIN = 0.6;
const SIZE_GAIN = 0.4;
/** Share of the residual that goes into the velocity. */
const VELOCITY_GAIN = 0.25;
/** A coasting track loses its speed with this time constant, ms: people stop more often than they fly away. */
const VELOCITY_DECAY_MS = 500;

/** Places and scores of one object over time: constant velocity on the centre, smoothed size. Units: shares of the frame, ms. */
export class TrackState {
  readonly id: number;
  readonly firstSeenMs: number;
  label: string;
  classId: number;
  score: number;
  confirmed = false;
  hits = 1;
  lastSeenMs: number;
  /** Frames since the last hit. */
  misses = 0;
  /** Frames the track has lived, the first included. */
  age = 1;

  private x: number;
  private y: number;
  private width: number;
  private height: number;
  private vx = 0;
  private vy = 0;
  private atMs: number;
  private count = 0;
  private head = 0;
  private readonly times = new Float64Array(MEMORY);
  private readonly scores = new Float32Array(MEMORY);
  private readonly xs = new Float32Array(MEMORY);
  private readonly ys = new Float32Array(MEMORY);
  private readonly scratch = new Float32Array(MEMORY);
  private homeX: number;
  private homeY: number;
  private farthest = 0;

  constructor(id: number, detection: Detection, atMs: number) {
    const [x1, y1, x2, y2] = detection.box;
    this.id = id;
    this.label = detection.label;
    this.classId = detection.classId;
    this.score = detection.score;
    this.firstSeenMs = atMs;
    this.lastSeenMs = atMs;
    this.atMs = atMs;
    this.x = (x1 + x2) / 2;
    this.y = (y1 + y2) / 2;
    this.width = x2 - x1;
    this.height = y2 - y1;
    this.homeX = this.x;
    this.homeY = this.y;
    this.remember(detection.score, atMs);
  }

  /** Moves the track to where it should be at `atMs`. */
  predict(atMs: number): void {
    const elapsed = Math.max(0, atMs - this.atMs);
    this.atMs = atMs;
    this.age++;
    if (elapsed === 0) return;
    this.x += this.vx * elapsed;
    this.y += this.vy * elapsed;
    if (this.misses > 0) {
      const keep = Math.exp(-elapsed / VELOCITY_DECAY_MS);
      this.vx *= keep;
      this.vy *= keep;
    }
  }

  /** Takes a detection of the frame that `predict` was last called for. */
  correct(detection: Detection): void {
    const [x1, y1, x2, y2] = detection.box;
    const elapsed = Math.max(1, this.atMs - this.lastSeenMs);
    const residualX = (x1 + x2) / 2 - this.x;
    const residualY = (y1 + y2) / 2 - this.y;
    this.x += PLACE_GAIN * residualX;
    this.y += PLACE_GAIN * residualY;
    // The second observation gives the first speed there is; later ones only bend it.
    const gain = this.hits === 1 ? 1 : VELOCITY_GAIN;
    this.vx += (gain * residualX) / elapsed;
    this.vy += (gain * residualY) / elapsed;
    this.width += SIZE_GAIN * (x2 - x1 - this.width);
    this.height += SIZE_GAIN * (y2 - y1 - this.height);
    this.label = detection.label;
    this.classId = detection.classId;
    this.score = detection.score;
    this.lastSeenMs = this.atMs;
    this.misses = 0;
    this.hits++;
    this.remember(detection.score, this.atMs);
  }

  /** Smoothed or predicted box, clipped to the frame. */
  get box(): Box {
    return [
      clip(this.x - this.width / 2),
      clip(this.y - this.height / 2),
      clip(this.x + this.width / 2),
      clip(this.y + this.height / 2),
    ];
  }

  /** True when the predicted box reaches over the frame's border: the object is probably leaving. */
  get atBorder(): boolean {
    const margin = 0.01;
    return (
      this.x - this.width / 2 < margin ||
      this.x + this.width / 2 > 1 - margin ||
      this.y - this.height / 2 < margin ||
      this.y + this.height / 2 > 1 - margin
    );
  }

  /** Median score of the hits in the last `MEMORY_MS`. */
  medianScore(): number {
    return this.median(this.scores);
  }

  /**
   * Farthest that the track's median place has ever been from where it began, in units of its own width and height.
   * Medians, so that one box merged with a neighbour does not count as a walk.
   */
  get displacement(): number {
    return this.farthest;
  }

  private remember(score: number, atMs: number): void {
    this.times[this.head] = atMs;
    this.scores[this.head] = score;
    this.xs[this.head] = this.x;
    this.ys[this.head] = this.y;
    this.head = (this.head + 1) % MEMORY;
    this.count = Math.min(this.count + 1, MEMORY);
    const x = this.median(this.xs);
    const y = this.median(this.ys);
    // Home is where the first few hits lie: a single first box may be off by half a person.
    if (this.hits <= 3) {
      this.homeX = x;
      this.homeY = y;
    }
    const away = Math.hypot(
      (x - this.homeX) / Math.max(this.width, 1e-3),
      (y - this.homeY) / Math.max(this.height, 1e-3),
    );
    if (away > this.farthest) this.farthest = away;
  }

  private median(values: Float32Array): number {
    let n = 0;
    for (let index = 0; index < this.count; index++) {
      if (this.lastSeenMs - this.times[index] <= MEMORY_MS) this.scratch[n++] = values[index];
    }
    const sorted = this.scratch.subarray(0, n).sort();
    return n % 2 === 1 ? sorted[(n - 1) / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
  }
}

function clip(value: number): number {
  return Math.min(1, Math.max(0, value));
}

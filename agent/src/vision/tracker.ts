import { type Box, type Detection, intersectionOverUnion } from '@vigie/models/runtime/detection';
import { assign, FORBIDDEN } from './assignment.js';
import { TrackState } from './track-state.js';
import { isWholeFrame } from './whole-frame.js';

/** One object followed over frames. Boxes are 0..1 of the frame, times monotonic ms. */
export interface Track {
  /** Grows; never used again in the life of the tracker. */
  id: number;
  label: string;
  classId: number;
  /** Score of the last hit. */
  score: number;
  /** Smoothed while seen, predicted while coasting. */
  box: Box;
  /** True once the object is believed to be real; never taken back. */
  confirmed: boolean;
  /** Frames in which it was detected. */
  hits: number;
  firstSeenMs: number;
  lastSeenMs: number;
  /** Not seen in this frame. */
  coasting: boolean;
}

export interface TrackerOptions {
  /** Detections below are ignored. Ask the model for this threshold. */
  floorScore: number;
  /** Detections at or above are matched first. */
  highScore: number;
  /** Confirmed when the median score of the last 1.5 s reaches this … */
  confirmScore: number;
  /** … and the object has moved by `confirmDisplacement`, or its median score reaches this: weak and immobile is clutter. */
  stillScore: number;
  /** Path of a weak object before it is believed, in units of its own box. */
  confirmDisplacement: number;
  confirmHits: number;
  /** Age before confirmation, ms. */
  confirmAfterMs: number;
  /** Share of the frames of its life in which a track was seen, before confirmation. */
  confirmHitRatio: number;
  /** How long a confirmed track outlives its last hit, ms. */
  coastMs: number;
  /** The same for a confirmed track that reaches over the frame's border. */
  coastAtBorderMs: number;
  /** The same for one that is not confirmed. */
  coastUnconfirmedMs: number;
  /** The same for clutter: it must still hold its place after something has walked in front of it. */
  coastClutterMs: number;
  /** Pairs below this IoU are matched only by distance. */
  minIou: number;
  /** Greatest distance of centres, in units of the larger box's width and height, of a pair that does not overlap enough. */
  maxDistance: number;
}

/**
 * Lowest score worth asking the model for. Weak detections keep tracks alive and let clutter hold its place;
 * they never make an event by themselves.
 */
export const DETECTION_FLOOR = 0.28;

export const TRACKER_DEFAULTS: TrackerOptions = {
  floorScore: DETECTION_FLOOR,
  highScore: 0.4,
  confirmScore: 0.35,
  stillScore: 0.5,
  confirmDisplacement: 0.6,
  confirmHits: 4,
  confirmAfterMs: 400,
  confirmHitRatio: 0.5,
  coastMs: 4000,
  coastAtBorderMs: 600,
  coastUnconfirmedMs: 500,
  coastClutterMs: 10_000,
  minIou: 0.15,
  maxDistance: 0.7,
};

/** Options for a model whose recommended threshold is not 0.40: scores scale with it, times and distances stay. */
export function trackerOptionsFor(threshold: number): Partial<TrackerOptions> {
  const scale = threshold / TRACKER_DEFAULTS.highScore;
  const scaled = (score: number) => Math.min(0.99, score * scale);
  return {
    floorScore: scaled(TRACKER_DEFAULTS.floorScore),
    highScore: scaled(TRACKER_DEFAULTS.highScore),
    confirmScore: scaled(TRACKER_DEFAULTS.confirmScore),
    stillScore: scaled(TRACKER_DEFAULTS.stillScore),
  };
}

/** IoU that a detection needs to move clutter (unconfirmed, immobile, older than this many hits): it holds on to its place. */
const CLUTTER_MIN_IOU = 0.65;
const CLUTTER_HITS = 8;
const CLUTTER_DISPLACEMENT = 0.3;
/** Two boxes overlapping so much, or one so far inside the other, are taken for one object. */
const MERGE_IOU = 0.45;
const MERGE_COVER = 0.8;
/** A detection this much inside a track that was just seen is a second box of the same object: no birth. */
const DUPLICATE_IOU = 0.3;
const DUPLICATE_COVER = 0.6;

/**
 * Follows objects by two-stage association (Zhang et al., ByteTrack, ECCV 2022): detections with high scores take their
 * tracks first, those with low scores may only continue what is left. IoU and distance of centres to a constant-velocity
 * prediction make the cost. Knows nothing of models, so ids live through a swap. Pure: time comes as an argument.
 */
export class Tracker {
  private options: TrackerOptions;
  private tracks: TrackState[] = [];
  private nextId = 1;
  private lastMs = Number.NEGATIVE_INFINITY;
  private lastSequence = -1;

  constructor(options: Partial<TrackerOptions> = {}) {
    this.options = { ...TRACKER_DEFAULTS, ...options };
  }

  /** Another model with other scores detects from now on; tracks and their ids stay. */
  retune(options: Partial<TrackerOptions>): void {
    this.options = { ...this.options, ...options };
  }

  /**
   * Takes the detections of one frame; frames come in order, and a frame that is not newer than the last changes nothing.
   * @param atMs monotonic time of the frame.
   * @returns all tracks alive, unconfirmed and coasting ones included.
   */
  update(detections: readonly Detection[], sequence: number, atMs: number): Track[] {
    if (sequence <= this.lastSequence || atMs < this.lastMs) return this.snapshot();
    this.lastSequence = sequence;
    this.lastMs = atMs;
    for (const track of this.tracks) track.predict(atMs);

    const high: Detection[] = [];
    const low: Detection[] = [];
    for (const detection of withoutSecondBoxes(detections, this.options.floorScore)) {
      if (detection.score >= this.options.highScore) high.push(detection);
      else low.push(detection);
    }
    const seen = new Set<TrackState>();
    const restHigh = this.associate(high, seen);
    const restLow = this.associate(low, seen);
    for (const track of this.tracks) if (!seen.has(track)) track.misses++;
    for (const detection of restHigh) this.give(detection, atMs, seen);
    for (const detection of restLow) this.give(detection, atMs, seen);

    for (const track of seen) if (!track.confirmed) track.confirmed = this.believes(track, atMs);
    this.tracks = this.tracks.filter((track) => atMs - track.lastSeenMs <= this.patience(track));
    return this.snapshot();
  }

  /** Matches detections to tracks not yet seen; returns those left over. */
  private associate(detections: Detection[], seen: Set<TrackState>): Detection[] {
    const free = this.tracks.filter((track) => !seen.has(track));
    if (detections.length === 0 || free.length === 0) return detections;
    const cost = free.map((track) => {
      const box = track.box;
      return detections.map((detection) => this.cost(track, box, detection));
    });
    const taken = new Set<number>();
    assign(cost).forEach((column, row) => {
      if (column < 0) return;
      taken.add(column);
      seen.add(free[row]);
      free[row].correct(detections[column]);
    });
    return detections.filter((_, index) => !taken.has(index));
  }

  private cost(track: TrackState, box: Box, detection: Detection): number {
    if (track.label !== detection.label) return FORBIDDEN;
    const iou = intersectionOverUnion(box, detection.box);
    const clutter = isClutter(track);
    if (clutter && iou < CLUTTER_MIN_IOU) return FORBIDDEN;
    const distance = centreDistance(box, detection.box);
    if (iou < this.options.minIou && distance > this.options.maxDistance) return FORBIDDEN;
    // A strong box is the better one of two on the same object; a real track has precedence over a guess.
    return 1 - iou + 0.5 * distance - 0.3 * detection.score + (track.confirmed || clutter ? 0 : 0.2);
  }

  /** A new track, unless the detection is a second box on an object already seen in this frame. */
  private give(detection: Detection, atMs: number, seen: Set<TrackState>): void {
    for (const track of seen) {
      const box = track.box;
      if (track.label !== detection.label) continue;
      if (intersectionOverUnion(box, detection.box) >= DUPLICATE_IOU) return;
      if (cover(box, detection.box) >= DUPLICATE_COVER) return;
    }
    const track = new TrackState(this.nextId++, detection, atMs);
    this.tracks.push(track);
    seen.add(track);
  }

  private believes(track: TrackState, atMs: number): boolean {
    const { options } = this;
    if (track.hits < options.confirmHits || atMs - track.firstSeenMs < options.confirmAfterMs) return false;
    if (track.hits / track.age < options.confirmHitRatio) return false;
    const median = track.medianScore();
    // The label of a whole picture cannot move; that it holds still says nothing against it.
    if (median >= (isWholeFrame(track.box) ? options.highScore : options.stillScore)) return true;
    return median >= options.confirmScore && track.displacement >= options.confirmDisplacement;
  }

  private patience(track: TrackState): number {
    if (!track.confirmed) return isClutter(track) ? this.options.coastClutterMs : this.options.coastUnconfirmedMs;
    return track.atBorder ? this.options.coastAtBorderMs : this.options.coastMs;
  }

  private snapshot(): Track[] {
    return this.tracks.map((track) => ({
      id: track.id,
      label: track.label,
      classId: track.classId,
      score: track.score,
      box: track.box,
      confirmed: track.confirmed,
      hits: track.hits,
      firstSeenMs: track.firstSeenMs,
      lastSeenMs: track.lastSeenMs,
      coasting: track.misses > 0,
    }));
  }
}

/** Seen often and never moved, yet not believed. */
function isClutter(track: TrackState): boolean {
  return !track.confirmed && track.hits >= CLUTTER_HITS && track.displacement < CLUTTER_DISPLACEMENT;
}

/** A stricter suppression than a model's own: a weak model puts several boxes on one person, and each would be a track. */
function withoutSecondBoxes(detections: readonly Detection[], floorScore: number): Detection[] {
  const kept: Detection[] = [];
  const sorted = detections.filter((detection) => detection.score >= floorScore).sort((a, b) => b.score - a.score);
  for (const detection of sorted) {
    const second = kept.some(
      (better) =>
        better.label === detection.label &&
        (intersectionOverUnion(better.box, detection.box) >= MERGE_IOU ||
          cover(better.box, detection.box) >= MERGE_COVER),
    );
    if (!second) kept.push(detection);
  }
  return kept;
}

/** Distance of centres in units of the larger width and height. */
function centreDistance(a: Box, b: Box): number {
  const width = Math.max(a[2] - a[0], b[2] - b[0], 1e-6);
  const height = Math.max(a[3] - a[1], b[3] - b[1], 1e-6);
  return Math.hypot((a[0] + a[2] - b[0] - b[2]) / 2 / width, (a[1] + a[3] - b[1] - b[3]) / 2 / height);
}

/** Intersection over the smaller of two boxes. */
function cover(a: Box, b: Box): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const smaller = Math.min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]));
  return smaller > 0 ? (width * height) / smaller : 0;
}

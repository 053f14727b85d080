import { type Box, intersectionOverUnion } from '@vigie/models/runtime/detection';

/** What the tracks did when the model changed under them. */
export interface TrackContinuity {
  /** Tracks in the last frame of the old model. */
  before: number;
  /** Those that went on under the same id. */
  continued: number;
  /** Those whose object went on under another id: the fault this looks for. */
  switched: number;
  /** Those whose object was not seen again in the frames looked at: it left, or the new model misses it. */
  lost: number;
  /** Ids that went on. */
  ids: number[];
}

interface Frame {
  digest: string;
  tracks: readonly { id: number; box: Box }[];
}

/** Frames of the new model that are looked at: a track may coast over a missed detection. */
const LOOK_AHEAD_FRAMES = 5;
/** Overlap from which a box with a new id is the same object. */
const SAME_OBJECT_IOU = 0.3;

/**
 * Follows the tracks of the last frame before the first frame of `digest` into the frames after it. Null when `digest`
 * never took over in these frames, or was there from the first.
 */
export function trackContinuity(frames: readonly Frame[], digest: string): TrackContinuity | null {
  const first = frames.findIndex(
    (frame, index) => frame.digest === digest && index > 0 && frames[index - 1].digest !== digest,
  );
  if (first < 1) return null;
  const before = frames[first - 1].tracks;
  const after = frames.slice(first, first + LOOK_AHEAD_FRAMES);
  const known = new Set(before.map((track) => track.id));
  const result: TrackContinuity = { before: before.length, continued: 0, switched: 0, lost: 0, ids: [] };
  for (const track of before) {
    if (after.some((frame) => frame.tracks.some((later) => later.id === track.id))) {
      result.continued += 1;
      result.ids.push(track.id);
    } else if (
      after.some((frame) =>
        frame.tracks.some(
          (later) => !known.has(later.id) && intersectionOverUnion(track.box, later.box) >= SAME_OBJECT_IOU,
        ),
      )
    ) {
      result.switched += 1;
    } else {
      result.lost += 1;
    }
  }
  return result;
}

/** True when no object changed its id and, where there were objects, at least one went on. Null: nobody was there. */
export function idsContinue(continuity: TrackContinuity | null): boolean | null {
  if (continuity === null || continuity.before === 0) return null;
  return continuity.switched === 0 && continuity.continued > 0;
}

import type { DeviceConfiguration } from '@vigie/protocol';
import type { FrameResult } from '../ports.js';
import { EventRules } from './event-rules.js';
import type { EventDraft } from './events.js';
import { type Track, Tracker, trackerOptionsFor } from './tracker.js';

/** When and how large a frame is; see `EventFrame`. */
export interface SceneMoment {
  /** Time by which things move, monotonic ms: of the frame's capture, or of the film when a file is played unpaced. */
  sceneMs: number;
  /** The same moment by the wall clock, ms since 1970. */
  wallMs: number;
  width: number;
  height: number;
}

/** What is seen: detections of one model or another become tracks, tracks become events. */
export class Scene {
  private readonly tracker: Tracker;
  private readonly rules: EventRules;

  /** @param threshold score from which a detection counts fully. @param newId returns a fresh event id. */
  constructor(threshold: number, newId: () => string) {
    this.tracker = new Tracker(trackerOptionsFor(threshold));
    this.rules = new EventRules(newId);
  }

  /** Another model detects from now on, whose detections count fully from this score. */
  useThreshold(threshold: number): void {
    this.tracker.retune(trackerOptionsFor(threshold));
  }

  /** What to look for from now on; null: everything. Returns the ends of events that nobody asks for any more. */
  configure(configuration: DeviceConfiguration | null, wallMs: number): EventDraft[] {
    return this.rules.configure(configuration, wallMs);
  }

  get openEvents(): number {
    return this.rules.openCount;
  }

  /** Takes one frame's result; returns the confirmed tracks (coasting ones too) and the event messages it caused. */
  see(result: FrameResult, moment: SceneMoment): { tracks: Track[]; drafts: EventDraft[] } {
    const tracks = this.tracker.update(result.detections, result.sequence, moment.sceneMs);
    const frame = {
      sequence: result.sequence,
      atWallMs: moment.wallMs,
      sceneMs: moment.sceneMs,
      width: moment.width,
      height: moment.height,
    };
    const stagesMs = { ...result.stagesMs, total: result.doneAt - result.capturedAt };
    const drafts = this.rules.update(tracks, frame, result.digest, stagesMs);
    return { tracks: tracks.filter((track) => track.confirmed), drafts };
  }

  /** Ends every open event: the camera is gone, or the agent stops. */
  end(wallMs: number): EventDraft[] {
    return this.rules.endAll(wallMs);
  }
}

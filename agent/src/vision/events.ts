import type { Event } from '@vigie/protocol';
import type { Track } from './tracker.js';

/** An event message before the board stamps it with boot id and sequence. */
export type EventDraft = Omit<Event, 'bootId' | 'sequence'>;

export interface EventOptions {
  /** An update is sent when the best score has grown by this much … */
  scoreStep: number;
  /** … but not sooner than this after the last message, ms. */
  minUpdateMs: number;
  /** While the object stays, an update is sent at least this often, ms. */
  updateEveryMs: number;
}

export const EVENT_DEFAULTS: EventOptions = { scoreStep: 0.05, minUpdateMs: 1000, updateEveryMs: 5000 };

/** The frame that a set of tracks belongs to. */
export interface EventFrame {
  sequence: number;
  /** Wall clock, ms since 1970. */
  atWallMs: number;
  /** Size of the camera's view, pixels. */
  width: number;
  height: number;
}

type Box = [number, number, number, number];

interface OpenEvent {
  id: string;
  startedAtMs: number;
  label: string;
  best: number;
  announced: number;
  lastMessageMs: number;
  seenAtMs: number;
  seen: { box: Box; frame: Event['frame']; digest: string | null };
}

/**
 * Turns confirmed tracks into `start → update → end`, one event per track id. Pure: wall time and ids come as arguments.
 * `endedAt` is when the object was last seen, not when the tracker gave it up.
 */
export class EventLifecycle {
  private readonly options: EventOptions;
  private readonly open = new Map<number, OpenEvent>();

  /** @param newId returns a fresh event id (`[A-Za-z0-9_-]{1,64}`). */
  constructor(
    options: Partial<EventOptions>,
    private readonly newId: () => string,
  ) {
    this.options = { ...EVENT_DEFAULTS, ...options };
  }

  /** Events that have started and not ended. */
  get openCount(): number {
    return this.open.size;
  }

  /**
   * Takes all tracks alive after one frame.
   * @param digest model that detected on the frame; the event of an object seen before a swap goes on after it.
   * @param stagesMs stage timings of the frame, ms.
   */
  update(
    tracks: readonly Track[],
    frame: EventFrame,
    digest: string | null,
    stagesMs: Readonly<Record<string, number>>,
  ): EventDraft[] {
    const drafts: EventDraft[] = [];
    const alive = new Set<number>();
    for (const track of tracks) {
      if (!track.confirmed) continue;
      alive.add(track.id);
      const known = this.open.get(track.id);
      if (known === undefined) {
        const event = this.begin(track, frame, digest);
        drafts.push(this.draft(track.id, event, 'start', frame.atWallMs, stagesMs));
        continue;
      }
      if (track.coasting) continue;
      see(known, track, frame, digest);
      if (this.isDue(known, frame.atWallMs))
        drafts.push(this.draft(track.id, known, 'update', frame.atWallMs, stagesMs));
    }
    for (const [trackId, event] of this.open) {
      if (alive.has(trackId)) continue;
      this.open.delete(trackId);
      drafts.push(this.draft(trackId, event, 'end', frame.atWallMs, stagesMs));
    }
    return drafts;
  }

  /** Ends every open event: the agent stops, or the camera is gone for long. */
  endAll(atWallMs: number): EventDraft[] {
    const drafts = [...this.open].map(([trackId, event]) => this.draft(trackId, event, 'end', atWallMs, {}));
    this.open.clear();
    return drafts;
  }

  private begin(track: Track, frame: EventFrame, digest: string | null): OpenEvent {
    const event: OpenEvent = {
      id: this.newId(),
      // The object was there before it was believed; both clocks run alike over so short a time.
      startedAtMs: frame.atWallMs - Math.max(0, track.lastSeenMs - track.firstSeenMs),
      label: track.label,
      best: 0,
      announced: 0,
      lastMessageMs: frame.atWallMs,
      seenAtMs: frame.atWallMs,
      seen: { box: [0, 0, 0, 0], frame: { sequence: 0, width: 1, height: 1 }, digest },
    };
    see(event, track, frame, digest);
    this.open.set(track.id, event);
    return event;
  }

  private isDue(event: OpenEvent, nowMs: number): boolean {
    const since = nowMs - event.lastMessageMs;
    if (since >= this.options.updateEveryMs) return true;
    return since >= this.options.minUpdateMs && event.best - event.announced >= this.options.scoreStep;
  }

  private draft(
    trackId: number,
    event: OpenEvent,
    type: EventDraft['type'],
    atMs: number,
    stagesMs: Readonly<Record<string, number>>,
  ): EventDraft {
    event.lastMessageMs = atMs;
    event.announced = event.best;
    return {
      id: event.id,
      type,
      at: instant(atMs),
      startedAt: instant(event.startedAtMs),
      ...(type === 'end' ? { endedAt: instant(Math.min(event.seenAtMs, atMs)) } : {}),
      trackId,
      label: event.label,
      score: event.best,
      box: event.seen.box,
      frame: event.seen.frame,
      modelDigest: event.seen.digest,
      stagesMs: { ...stagesMs },
    };
  }
}

function see(event: OpenEvent, track: Track, frame: EventFrame, digest: string | null): void {
  event.label = track.label;
  event.best = Math.min(1, Math.max(event.best, track.score));
  event.seenAtMs = frame.atWallMs;
  const [x1, y1, x2, y2] = track.box;
  event.seen = {
    box: [x1, y1, x2, y2],
    frame: { sequence: frame.sequence, width: frame.width, height: frame.height },
    digest,
  };
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}

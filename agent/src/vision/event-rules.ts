import type { DeviceConfiguration, EventRule, Line, Zone } from '@vigie/protocol';
import { type EventDraft, type EventFrame, EventLifecycle } from './events.js';
import { crossing, footOf, isInside, type Point } from './geometry.js';
import type { Track } from './tracker.js';

/** An object has left a zone when it was outside for so long, ms: boxes jitter at a border. */
const LEAVE_MS = 1000;
/** A line is not crossed again by the same object sooner than this, ms. */
const CROSS_AGAIN_MS = 1000;

/** The frame, and the time by which things move in it. */
export interface RuleFrame extends EventFrame {
  /** Monotonic, ms; the clock of the tracks. */
  sceneMs: number;
}

interface Seen {
  /** Best score so far: what thresholds are held against. */
  best: number;
  foot: Point;
  /** Zones it has stood in. */
  zones: Set<string>;
  /** By zone: since when it stands there, and when it was seen there last; scene ms. */
  stays: Map<string, { sinceMs: number; lastMs: number }>;
  /** By rule: last crossing, scene ms. */
  crossings: Map<string, number>;
}

/**
 * Tracks become events by the rules of the board's configuration; without rules each object of interest makes one. Pure: times and
 * ids come as arguments. A configuration may change at any time: rules that stay by name go on with their open events.
 */
export class EventRules {
  private configuration: DeviceConfiguration = {};
  private readonly lifecycles = new Map<string, EventLifecycle>();
  private readonly seen = new Map<number, Seen>();

  /** @param newId returns a fresh event id. */
  constructor(private readonly newId: () => string) {
    this.configure(null, 0);
  }

  get openCount(): number {
    let count = 0;
    for (const lifecycle of this.lifecycles.values()) count += lifecycle.openCount;
    return count;
  }

  /** From now on this counts; null: no configuration. Returns the ends of events whose rule is gone. */
  configure(configuration: DeviceConfiguration | null, atWallMs: number): EventDraft[] {
    this.configuration = configuration ?? {};
    const { rules = [] } = this.configuration;
    const names = rules.length === 0 ? [''] : rules.flatMap((rule) => (rule.line === undefined ? [rule.name] : []));
    const drafts: EventDraft[] = [];
    for (const [name, lifecycle] of this.lifecycles) {
      if (names.includes(name)) continue;
      drafts.push(...lifecycle.endAll(atWallMs).map((draft) => this.marked(draft, name)));
      this.lifecycles.delete(name);
    }
    for (const name of names) {
      if (!this.lifecycles.has(name)) this.lifecycles.set(name, new EventLifecycle({}, this.newId));
    }
    return drafts;
  }

  /** Takes all tracks alive after one frame; see `EventLifecycle.update`. */
  update(
    tracks: readonly Track[],
    frame: RuleFrame,
    digest: string | null,
    stagesMs: Readonly<Record<string, number>>,
  ): EventDraft[] {
    const believed = tracks.filter((track) => track.confirmed);
    const steps = new Map(believed.map((track) => [track.id, this.follow(track, frame.sceneMs)]));
    const { rules = [] } = this.configuration;
    const drafts: EventDraft[] = [];
    const feed = (name: string, chosen: readonly Track[]) => {
      const made = this.lifecycles.get(name)?.update(chosen, frame, digest, stagesMs) ?? [];
      drafts.push(...made.map((draft) => this.marked(draft, name)));
    };
    if (rules.length === 0)
      feed(
        '',
        believed.filter((track) => this.counts(track, undefined)),
      );
    for (const rule of rules) {
      const concerned = believed.filter((track) => this.counts(track, rule.labels));
      if (rule.line === undefined)
        feed(
          rule.name,
          concerned.flatMap((track) => this.staying(track, rule, frame.sceneMs)),
        );
      else {
        const line = this.configuration.lines?.find(({ name }) => name === rule.line);
        for (const track of line === undefined ? [] : concerned)
          drafts.push(...this.crossed(track, steps.get(track.id) ?? null, rule, line as Line, frame, digest, stagesMs));
      }
    }
    const alive = new Set(tracks.map(({ id }) => id));
    for (const id of this.seen.keys()) if (!alive.has(id)) this.seen.delete(id);
    return drafts;
  }

  endAll(atWallMs: number): EventDraft[] {
    const drafts: EventDraft[] = [];
    for (const [name, lifecycle] of this.lifecycles)
      drafts.push(...lifecycle.endAll(atWallMs).map((draft) => this.marked(draft, name)));
    this.seen.clear();
    return drafts;
  }

  /** Notes where a track is; returns where it was, null when it is new or was not seen in this frame. */
  private follow(track: Track, sceneMs: number): Point | null {
    const foot = footOf(track.box);
    const known = this.seen.get(track.id);
    const seen = known ?? { best: 0, foot, zones: new Set(), stays: new Map(), crossings: new Map() };
    this.seen.set(track.id, seen);
    if (track.coasting) return null;
    const before = seen.foot;
    seen.best = Math.max(seen.best, track.score);
    seen.foot = foot;
    for (const zone of this.configuration.zones ?? []) this.stand(seen, zone, sceneMs);
    return known === undefined ? null : before;
  }

  private stand({ foot, zones, stays }: Seen, { name, polygon }: Zone, sceneMs: number): void {
    const stay = stays.get(name);
    if (isInside(foot, polygon)) {
      zones.add(name);
      stays.set(name, { sinceMs: stay?.sinceMs ?? sceneMs, lastMs: sceneMs });
    } else if (stay !== undefined && sceneMs - stay.lastMs >= LEAVE_MS) stays.delete(name);
  }

  private counts({ id, label }: Track, labels: readonly string[] | undefined): boolean {
    const { labels: interest, thresholds = {} } = this.configuration;
    if (!(labels ?? interest ?? [label]).includes(label)) return false;
    const threshold = Object.hasOwn(thresholds, label) ? thresholds[label] : 0;
    return (this.seen.get(id)?.best ?? 0) >= threshold;
  }

  /** The track as a rule sees it, there since it came into the zone; none while it is not there long enough. */
  private staying(track: Track, { zone, minSeconds = 0 }: EventRule, sceneMs: number): Track[] {
    const sinceMs = zone === undefined ? track.firstSeenMs : this.seen.get(track.id)?.stays.get(zone)?.sinceMs;
    if (sinceMs === undefined || sceneMs - sinceMs < minSeconds * 1000) return [];
    return [{ ...track, firstSeenMs: sinceMs }];
  }

  private crossed(
    track: Track,
    before: Point | null,
    rule: EventRule,
    line: Line,
    frame: RuleFrame,
    digest: string | null,
    stagesMs: Readonly<Record<string, number>>,
  ): EventDraft[] {
    const seen = this.seen.get(track.id);
    const direction = before === null || seen === undefined ? null : crossing(before, seen.foot, line);
    if (direction === null || seen === undefined) return [];
    if (![undefined, 'either', direction].includes(rule.direction)) return [];
    if (frame.sceneMs - (seen.crossings.get(rule.name) ?? Number.NEGATIVE_INFINITY) < CROSS_AGAIN_MS) return [];
    seen.crossings.set(rule.name, frame.sceneMs);
    // A crossing has no length: it starts and ends at once.
    const once = new EventLifecycle({}, this.newId);
    const moment = { ...track, firstSeenMs: track.lastSeenMs };
    const drafts = [...once.update([moment], frame, digest, stagesMs), ...once.endAll(frame.atWallMs)];
    return drafts.map((draft) => ({ ...this.marked(draft, rule.name), direction }));
  }

  /** What the configuration adds to a message. */
  private marked(draft: EventDraft, rule: string): EventDraft {
    const zones = [...(this.seen.get(draft.trackId)?.zones ?? [])];
    return {
      ...draft,
      ...(rule === '' ? {} : { rule }),
      ...(zones.length === 0 ? {} : { zones: zones.slice(0, 32) }),
    };
  }
}

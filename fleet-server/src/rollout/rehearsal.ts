import { percentile } from '@vigie/protocol';
import type { RolloutSpec, Wave } from './spec.js';

/** What is known of a board before a rollout. */
export interface RehearsedBoard {
  id: string;
  wave: number;
  hardwareClass: string;
  online: boolean;
  /** How long it has been offline, s; null: it is online, or was never seen. */
  offlineSeconds: number | null;
  /** Bytes of the release that it does not hold yet, by what it runs now; the most that it may fetch. */
  missingBytes: number;
}

/** How earlier rollouts went on one board, or on one of its class. */
export interface RehearsalHistory {
  deviceId: string;
  hardwareClass: string;
  /** From the offer to the proof, s. */
  seconds: number;
  succeeded: boolean;
}

export interface Range {
  low: number;
  likely: number;
  high: number;
}

export interface Rehearsal {
  /** Installs that the prediction stands on; 0: nothing is known, and nothing about time is said. */
  samples: number;
  /** Per wave, s, from its opening; null: without history there is none. Soak included. */
  waves: { name: string; boards: number; online: number; seconds: Range | null; soakSeconds: number }[];
  /** All waves, s, approvals and windows left out. */
  seconds: Range | null;
  /** Over the line to all boards that are online; `high`: with the others. */
  bytes: Range;
  /** Share of past installs that succeeded; null: no history. */
  successShare: number | null;
  stragglers: { device: string; wave: string; reasons: string[] }[];
  notes: string[];
}

/** Draws of the whole rollout, at the most. */
const DRAWS = 40;
/** Comparisons in all: a rehearsal must not hold the server up. */
const MOST_WORK = 50_000_000;
const SHOWN_STRAGGLERS = 100;
const DAY_SECONDS = 86_400;

/**
 * Predicts a rollout from how earlier ones went: each draw gives every online board a past duration (of its own, else of its
 * class, else of any board) and lays them on as many places as may be at work; the ranges are the 5th, 50th and 95th
 * percentile of the draws. `random`: 0..1, seeded by the caller, so that a rehearsal can be repeated.
 */
export function rehearse(
  spec: RolloutSpec,
  boards: readonly RehearsedBoard[],
  history: readonly RehearsalHistory[],
  random: () => number,
): Rehearsal {
  const good = history.filter(({ succeeded }) => succeeded);
  const draw = drawer(good, random);
  const work = Math.max(1, boards.length) * spec.concurrency;
  const draws = good.length === 0 ? 0 : Math.max(5, Math.min(DRAWS, Math.floor(MOST_WORK / work)));
  const perWave = spec.waves.map((_, wave) => boards.filter((board) => board.wave === wave));
  const totals: number[] = [];
  const lengths: number[][] = spec.waves.map(() => []);
  for (let round = 0; round < draws; round += 1) {
    let total = 0;
    for (const [index, wave] of spec.waves.entries()) {
      const length = waveSeconds(spec, wave, perWave[index].filter(({ online }) => online).map(draw));
      lengths[index].push(length);
      total += length;
    }
    totals.push(total);
  }
  const slow = slowness(good);
  return {
    samples: good.length,
    waves: spec.waves.map(({ name, soakSeconds }, index) => ({
      ...{ name, soakSeconds, boards: perWave[index].length },
      online: perWave[index].filter(({ online }) => online).length,
      seconds: rangeOf(lengths[index]),
    })),
    seconds: rangeOf(totals),
    bytes: bytesOf(boards),
    successShare: history.length === 0 ? null : good.length / history.length,
    stragglers: boards
      .flatMap((board) => {
        const reasons = reasonsOf(board, slow);
        return reasons.length === 0 ? [] : [{ device: board.id, wave: spec.waves[board.wave].name, reasons }];
      })
      .slice(0, SHOWN_STRAGGLERS),
    notes: notesOf(spec, boards, good.length),
  };
}

function drawer(history: readonly RehearsalHistory[], random: () => number): (board: RehearsedBoard) => number {
  const own = groupBy(history, ({ deviceId }) => deviceId);
  const classes = groupBy(history, ({ hardwareClass }) => hardwareClass);
  return ({ id, hardwareClass }) => {
    const known = own.get(id) ?? classes.get(hardwareClass) ?? history;
    return known[Math.floor(random() * known.length)].seconds;
  };
}

/** Boards in order on the places of `concurrency`, not faster than the rate; then the soak. */
function waveSeconds(
  { concurrency, startsPerMinute }: RolloutSpec,
  { soakSeconds }: Wave,
  seconds: readonly number[],
): number {
  const free: number[] = new Array(Math.min(concurrency, Math.max(1, seconds.length))).fill(0);
  const gap = startsPerMinute === undefined ? 0 : 60 / startsPerMinute;
  let end = 0;
  for (const [index, length] of seconds.entries()) {
    let place = 0;
    for (let other = 1; other < free.length; other += 1) if (free[other] < free[place]) place = other;
    free[place] = Math.max(free[place], index * gap) + length;
    end = Math.max(end, free[place]);
  }
  return end + soakSeconds;
}

function rangeOf(samples: readonly number[]): Range | null {
  if (samples.length === 0) return null;
  return { low: percentile(samples, 0.05), likely: percentile(samples, 0.5), high: percentile(samples, 0.95) };
}

function bytesOf(boards: readonly RehearsedBoard[]): Range {
  const sum = (some: readonly RehearsedBoard[]) => some.reduce((total, { missingBytes }) => total + missingBytes, 0);
  const online = sum(boards.filter((board) => board.online));
  return { low: 0, likely: online, high: sum(boards) };
}

/** Boards whose past median is beyond the 90th percentile of all. */
function slowness(history: readonly RehearsalHistory[]): Map<string, number> {
  if (history.length < 10) return new Map();
  const bound = percentile(
    history.map(({ seconds }) => seconds),
    0.9,
  );
  const medians = [...groupBy(history, ({ deviceId }) => deviceId)].map(
    ([id, rows]) =>
      [
        id,
        percentile(
          rows.map(({ seconds }) => seconds),
          0.5,
        ),
      ] as const,
  );
  return new Map(medians.filter(([, median]) => median > bound));
}

function reasonsOf({ id, online, offlineSeconds }: RehearsedBoard, slow: ReadonlyMap<string, number>): string[] {
  const reasons: string[] = [];
  if (!online) {
    if (offlineSeconds === null) reasons.push('was never seen');
    else if (offlineSeconds < DAY_SECONDS) reasons.push('is offline now');
    else reasons.push(`is offline for ${Math.floor(offlineSeconds / DAY_SECONDS)} days`);
  }
  const median = slow.get(id);
  if (median !== undefined) reasons.push(`took ${Math.round(median)} s in the past, longer than nine of ten installs`);
  return reasons;
}

function notesOf({ windows, waves }: RolloutSpec, boards: readonly RehearsedBoard[], samples: number): string[] {
  const notes: string[] = [];
  if (samples === 0) notes.push('no rollout has run here before: how long installs take is not known');
  else if (samples < 20) notes.push(`only ${samples} past installs are known: the ranges are rough`);
  if (windows.length > 0) notes.push('maintenance windows make it longer; they are not in these times');
  if (waves.some(({ approval }) => approval !== 'none')) notes.push('the time that approvals take is not in it');
  const offline = boards.filter(({ online }) => !online).length;
  if (offline > 0) notes.push(`${offline} of ${boards.length} boards are offline and come when they come`);
  return notes;
}

function groupBy<T>(all: readonly T[], keyOf: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) {
    const group = groups.get(keyOf(one));
    if (group === undefined) groups.set(keyOf(one), [one]);
    else group.push(one);
  }
  return groups;
}

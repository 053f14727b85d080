import { isInSync } from '@vigie/fleet-server/devices/device-view';
import { type CommandResult, obey, type RolloutCommand } from '@vigie/fleet-server/rollout/commands';
import {
  type Board,
  type BoardFigures,
  type Decision,
  type Member,
  NEW_PROGRESS,
  type Pair,
  type Rollout,
  type Step,
  type StepInput,
  type Telling,
  type WaveTally,
} from '@vigie/fleet-server/rollout/model';
import { late, plan } from '@vigie/fleet-server/rollout/plan';
import { seenOf } from '@vigie/fleet-server/rollout/seen';
import type { RolloutSpec } from '@vigie/fleet-server/rollout/spec';
import { needsFigures, step } from '@vigie/fleet-server/rollout/step';
import { isOpen } from '@vigie/fleet-server/rollout/windows';
import type { Desired, InstallErrorCode, ReleaseReference } from '@vigie/protocol';

export const reference = (version: string): ReleaseReference => ({
  name: 'm',
  version,
  digest: version.replaceAll('.', '').padEnd(64, 'a'),
});
export const TARGET = reference('2.0.0');
export const OTHER = reference('3.0.0');
const BEFORE = reference('1.0.0');

/** What a simulated board does with the release, and how it is reached. */
export interface Nature {
  outcome: 'good' | 'bad' | 'later' | 'cannot' | 'stuck' | 'regresses';
  /** Ticks from the offer to its end. */
  ticks: number;
  /** Share of ticks in which it is offline, 0..1. */
  offline: number;
  hardwareClass: string;
  timeZone: string | null;
  /** Tick at which it is enrolled, is revoked, or somebody assigns it something else; null: never. */
  bornAt: number;
  revokedAt: number | null;
  takenAt: number | null;
}

interface SimulatedBoard {
  nature: Nature;
  board: Board;
  /** What it works on, and until which tick. */
  work: { desired: Desired; until: number } | null;
  sequence: number;
  regressesAt: number | null;
}

const ERRORS: Partial<Record<Nature['outcome'], InstallErrorCode>> = {
  bad: 'TRIAL_TOO_SLOW',
  later: 'CHUNK_MISSING',
  cannot: 'AGENT_TOO_OLD',
};

/** Ticks in which nothing can begin are longer, ms: a week of closed windows takes no longer than an open night. */
const IDLE_MS = 900_000;

/** A fleet and a database in memory around the engine: reads and writes as the server's repository does, and keeps books. */
export class SimulatedFleet {
  now = Date.UTC(2026, 0, 5, 8);
  tick = 0;
  rollout: Rollout;
  readonly members = new Map<string, Member>();
  readonly boards = new Map<string, SimulatedBoard>();
  /** Every digest that a board was told, by generation. */
  readonly told = new Map<string, Map<number, string>>();
  readonly decisions: Decision[] = [];
  /** Failures by wave, as they were observed. */
  readonly failures: number[] = [];
  readonly #seen = new Map<string, string>();

  constructor(
    readonly spec: RolloutSpec,
    natures: readonly Nature[],
    /** 0..1, the same row for the same seed. */
    private readonly random: () => number,
    private readonly tickMs = 20_000,
  ) {
    this.rollout = { id: 7, spec, state: 'ready', createdBy: 'ann', startedAt: null, progress: NEW_PROGRESS };
    for (const [index, nature] of natures.entries()) this.#enrol(`b${index}`, nature);
  }

  command(command: RolloutCommand, actor = 'ann'): CommandResult {
    const done = obey(this.rollout, command, actor, this.now);
    if (!done.ok) return done;
    const { state, progress, startedAt, again, promote } = done;
    this.rollout = { ...this.rollout, state, progress, startedAt };
    for (const [id, member] of this.members) {
      const waits = member.state === 'waiting' || member.state === 'deferred';
      if (again.length > 0 && !member.out && (again.includes(member.state) || (waits && member.retryAt !== null)))
        this.members.set(id, {
          ...member,
          state: 'waiting',
          code: null,
          retryAt: null,
          attempt: Math.max(1, member.attempt),
        });
    }
    if (promote !== null) this.#promote(promote);
    return done;
  }

  /** Time passes: boards do their work, then the engine takes a step. Returns what was decided from what. */
  advance(): { before: Rollout; input: StepInput; made: Step } {
    this.tick += 1;
    this.now += this.#idle() ? Math.max(this.tickMs, IDLE_MS) : this.tickMs;
    for (const one of this.boards.values()) this.#live(one);
    const before = this.rollout;
    const input = this.#read();
    const made = step(before, input);
    this.#write(input, made);
    return { before, input, made };
  }

  get ended(): boolean {
    return ['succeeded', 'turned-back', 'failed', 'aborted', 'expired'].includes(this.rollout.state);
  }

  out(): number {
    return [...this.members.values()].filter((member) => member.out).length;
  }

  /** Nobody is at work, and nobody's window is open. */
  #idle(): boolean {
    const { windows } = this.spec;
    const planned = this.rollout.progress.phase !== 'planning';
    const zones = this.members.size === 0 ? [null] : this.zones();
    const open = () => zones.some((zone) => isOpen(windows, zone, this.now));
    return windows.length > 0 && planned && this.out() === 0 && !open();
  }

  /** Zones of the rollout's boards. */
  zones(): string[] {
    const known = [...this.members.keys()].map((id) => this.boards.get(id)?.nature.timeZone ?? 'UTC');
    return [...new Set(known)].sort();
  }

  #enrol(id: string, nature: Nature): void {
    const desired: Desired = { deviceId: id, generation: 1, issuedAt: '2026-01-01T00:00:00.000Z', release: BEFORE };
    const board: Board = {
      ...{ id, hardwareClass: nature.hardwareClass, tags: [], timeZone: nature.timeZone, running: 'm@1.0.0' },
      ...{ revoked: false, online: false, bootId: 'boot', generation: 1, desired, reported: null },
    };
    const one: SimulatedBoard = { nature, board, work: null, sequence: 0, regressesAt: null };
    this.boards.set(id, one);
    this.told.set(id, new Map());
    this.#say(one, BEFORE, 'COMMITTED', null);
  }

  #live(one: SimulatedBoard): void {
    const { board, nature } = one;
    if (this.tick < nature.bornAt) return;
    board.revoked = nature.revokedAt !== null && this.tick >= nature.revokedAt;
    board.online = !board.revoked && this.random() >= nature.offline;
    if (nature.takenAt === this.tick) {
      board.generation += 1;
      board.desired = { ...(board.desired as Desired), generation: board.generation, release: reference('9.0.0') };
    }
    if (!board.online || board.desired === null) return;
    const { desired } = board;
    if (one.regressesAt !== null && this.tick >= one.regressesAt) {
      one.regressesAt = null;
      this.#say(one, BEFORE, 'COMMITTED', null);
    }
    if ((board.reported?.generation ?? 0) < desired.generation && one.work?.desired.generation !== desired.generation)
      this.#begin(one, desired);
    if (one.work !== null && this.tick >= one.work.until) this.#finish(one);
  }

  #begin(one: SimulatedBoard, desired: Desired): void {
    const active = one.board.reported?.active?.release ?? null;
    if (desired.release === null || desired.release.digest === active?.digest) {
      one.work = null;
      this.#say(one, active, 'COMMITTED', null);
      return;
    }
    one.work = { desired, until: this.tick + one.nature.ticks };
    this.#say(one, active, 'DOWNLOADING', null);
  }

  #finish(one: SimulatedBoard): void {
    const { desired } = one.work as NonNullable<SimulatedBoard['work']>;
    const active = one.board.reported?.active?.release ?? null;
    const ours = desired.release?.digest === TARGET.digest || desired.release?.digest === OTHER.digest;
    const outcome = ours ? one.nature.outcome : 'good';
    if (outcome === 'stuck') return;
    one.work = null;
    const code = ERRORS[outcome];
    if (code !== undefined) {
      this.#say(one, active, outcome === 'bad' ? 'ROLLED_BACK' : 'FAILED', code);
      return;
    }
    if (outcome === 'regresses') one.regressesAt = this.tick + 2;
    this.#say(one, desired.release, 'COMMITTED', null);
  }

  #say(
    one: SimulatedBoard,
    active: ReleaseReference | null,
    phase: 'COMMITTED' | 'DOWNLOADING' | 'ROLLED_BACK' | 'FAILED',
    code: InstallErrorCode | null,
  ): void {
    one.sequence += 1;
    const { board } = one;
    board.reported = {
      ...{ bootId: 'boot', sequence: one.sequence, at: '2026-01-01T00:00:00.000Z', phase, candidate: null },
      generation: board.generation,
      active: active && { release: active, framesRun: 30, since: '2026-01-01T00:00:00.000Z' },
      error: code && { code, message: code },
      ...{ agentVersion: '1.0.0', hardwareClass: board.hardwareClass },
    };
  }

  #read(): StepInput {
    const { rollout, now } = this;
    const { state, progress, spec } = rollout;
    const pairs = [...this.members.values()].map((member) => this.#pair(member));
    const watched = ['offered', 'in-progress', 'deferred', 'succeeded', 'turning-back'];
    const told = pairs.filter(({ member, board }) => {
      if (state === 'stopping') return member.out;
      const gone = board?.revoked === true && (member.out || member.state === 'turning-back');
      const changed =
        watched.includes(member.state) &&
        board !== null &&
        seenOf(board, board.generation) !== this.#seen.get(member.deviceId);
      return gone || changed || (member.out && (member.holdUntil ?? Number.POSITIVE_INFINITY) <= now);
    });
    const touched = told.slice(0, 40);
    const waiting = (member: Member) => member.state === 'waiting' || (member.state === 'deferred' && !member.out);
    const active = state === 'running' || (state === 'succeeded' && progress.phase === 'following');
    const holding = pairs.filter(
      ({ member }) =>
        (member.told === TARGET.digest || member.told === OTHER.digest) &&
        ['offered', 'in-progress', 'deferred', 'succeeded', 'failed', 'declined'].includes(member.state),
    );
    const seen = new Set(touched.map(({ member }) => member.deviceId));
    const next = pairs
      .filter(
        ({ member, board }) =>
          waiting(member) &&
          member.wave <= progress.wave &&
          board?.online === true &&
          (member.retryAt ?? 0) <= now &&
          isOpen(spec.windows, board.timeZone, now),
      )
      .sort((a, b) => a.member.wave - b.member.wave || a.member.position - b.member.position)
      .slice(0, 40);
    const newcomers = [...this.boards.values()]
      .filter(({ board, nature }) => !this.members.has(board.id) && this.tick >= nature.bornAt && !board.revoked)
      .map(({ board }) => ({
        ...board,
        running: 'm@1.0.0',
        base: board.desired?.release?.digest ?? null,
        previous: null,
      }));
    const targets = this.#targets();
    const tallies = this.#tallies(pairs);
    return {
      ...{
        now,
        targets,
        touched,
        tallies,
        zones: this.zones(),
        lacking: new Map(),
        installable: new Set([BEFORE.digest, TARGET.digest, OTHER.digest]),
      },
      candidates:
        state === 'turning-back'
          ? holding.filter(({ member }) => !seen.has(member.deviceId)).slice(0, 5)
          : progress.phase !== 'planning'
            ? // In any state: that nobody is told while it is paused must not hang on what is read.
              next
            : [],
      joining: !active
        ? null
        : progress.phase === 'planning'
          ? plan(spec, newcomers, targets, progress)
          : late(spec, newcomers, targets, progress, this.members.size),
      recertified: [],
      startsLastMinute: pairs.filter(({ member }) => (member.offeredAt ?? 0) > now - 60_000).length,
      toTurnBack: state === 'turning-back' ? holding.length : 0,
      figures: needsFigures(rollout, tallies, now) ? this.#figures() : null,
    };
  }

  #write(input: StepInput, { state, progress, members, tellings, decisions, promote }: Step): void {
    this.rollout = { ...this.rollout, state, progress };
    for (const member of members) {
      const before = this.members.get(member.deviceId);
      if (member.state === 'failed' && before?.state !== 'failed')
        this.failures[member.wave] = (this.failures[member.wave] ?? 0) + 1;
      const proof = this.boards.get(member.deviceId)?.board;
      if (member.state === 'succeeded' && before?.state !== 'succeeded' && !(proof && isInSync(proof)))
        throw new Error(`${member.deviceId} succeeded without proof`);
      this.members.set(member.deviceId, member);
    }
    for (const telling of tellings) this.#tell(telling);
    for (const { member } of [...input.touched, ...input.candidates]) {
      const { board } = this.boards.get(member.deviceId) as SimulatedBoard;
      if (members.some((one) => one.deviceId === member.deviceId))
        this.#seen.set(member.deviceId, seenOf(board, board.generation));
    }
    this.decisions.push(...decisions);
    if (promote !== null) this.#promote(promote);
  }

  /** As the database does: only on top of the very generation that was read. */
  #tell({ deviceId, generation, release }: Telling): void {
    const { board } = this.boards.get(deviceId) as SimulatedBoard;
    if (generation !== board.generation + 1)
      throw new Error(`${deviceId}: generation ${generation} on ${board.generation}`);
    const told = this.told.get(deviceId) as Map<number, string>;
    if (told.has(generation)) throw new Error(`${deviceId} is told two things at generation ${generation}`);
    told.set(generation, release?.digest ?? 'nothing');
    board.generation = generation;
    board.desired = { deviceId, generation, issuedAt: '2026-01-01T00:00:00.000Z', release };
  }

  #promote(winner: 'A' | 'B'): void {
    for (const [id, member] of this.members) {
      if (member.cohort === winner || member.out) continue;
      if (['left', 'taken-over', 'not-certified', 'turned-back', 'kept'].includes(member.state)) continue;
      this.members.set(id, {
        ...member,
        cohort: winner,
        wave: this.spec.waves.length,
        state: 'waiting',
        code: null,
        retryAt: null,
      });
    }
  }

  /** B runs a fifth faster than what ran before, A as it did. */
  #figures(): BoardFigures[] {
    const succeeded = [...this.members.values()].filter(({ state }) => state === 'succeeded');
    return succeeded.map(({ deviceId, cohort }) => ({
      ...{ deviceId, cohort, before: { fps: 10 } },
      after: { fps: (cohort === 'B' ? 12 : 10) * (0.95 + 0.1 * this.random()) },
    }));
  }

  #targets(): StepInput['targets'] {
    const target = (release: ReleaseReference) => ({ release, classes: ['pi4', 'pi5'], available: true });
    return { A: target(TARGET), B: this.spec.comparison === undefined ? null : target(OTHER) };
  }

  /** Boards as they are read: a copy, as from a database. */
  #pair(member: Member): Pair {
    const found = this.boards.get(member.deviceId)?.board;
    return { member, board: found === undefined ? null : { ...found }, wantedBy: null, ownedBy: null };
  }

  #tallies(pairs: readonly Pair[]): WaveTally[] {
    const tallies: WaveTally[] = [];
    for (const { member, board } of pairs) {
      tallies[member.wave] ??= { states: {}, out: 0, coming: 0, unreachable: 0, silent: 0 };
      const tally = tallies[member.wave];
      tally.states[member.state] = (tally.states[member.state] ?? 0) + 1;
      if (member.out) tally.out += 1;
      if (board === null || board.revoked) continue;
      const waits = member.state === 'waiting' || (member.state === 'deferred' && !member.out);
      if (waits && !board.online) tally.unreachable += 1;
      if (waits && board.online && (member.retryAt ?? 0) <= this.now) tally.coming += 1;
      if (member.state === 'succeeded' && !board.online) tally.silent += 1;
    }
    return tallies;
  }
}

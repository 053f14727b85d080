import { Value } from '@sinclair/typebox/value';
import { type Desired, ShadowPolicy } from '@vigie/protocol';
import type { Logger } from 'pino';
import { nextDesired } from '../devices/desired.js';
import type { RolloutFigures } from '../io/database/rollout-figures.js';
import type { RolloutRepository } from '../io/database/rollout-repository.js';
import type { StoredRollout } from '../io/database/rollout-rows.js';
import type { RolloutWriter } from '../io/database/rollout-writer.js';
import type { Now } from '../ports.js';
import { obey } from '../rollout/commands.js';
import type { Member, Pair, Step, StepInput, Telling } from '../rollout/model.js';
import { late, plan } from '../rollout/plan.js';
import { seenOf } from '../rollout/seen.js';
import type { RolloutSpec } from '../rollout/spec.js';
import { ENDED } from '../rollout/states.js';
import { needsFigures, step } from '../rollout/step.js';
import { isOpen } from '../rollout/windows.js';
import type { RolloutLabels } from './rollout-labels.js';
import { type CertifiedClasses, targetsOf } from './rollout-targets.js';

/** Boards that one step looks at or tells. */
const BOARDS_AT_ONCE = 500;
/** Steps of one rollout in one turn: the others have their turn, too. */
const STEPS_AT_ONCE = 20;
/** How often boards that came to match, or got a certificate, are looked for, ms. */
const JOIN_EVERY_MS = 5_000;
/** What other replicas took in from boards is looked for so often; what this one took in, at once, ms. */
const LOOK_EVERY_MS = 5000;
/** A board that is online and does not answer is told the same again after so long: it may have missed it, ms. */
const REPEAT_AFTER_MS = 15_000;
/** How long the zones of a rollout's boards are believed, ms. */
const ZONES_FOR_MS = 60_000;
const MINUTE_MS = 60_000;

/** What it tells boards through. */
export interface DesiredPublisher {
  publishDesired(deviceIds: readonly string[]): Promise<void>;
  isPublished(release: { name: string; version: string }): boolean;
}

/**
 * Moves rollouts on: reads what changed, lets the engine decide, writes the step, and only then tells the boards. Nothing is
 * kept in memory but when was looked for newcomers, and where boards live: a process that dies anywhere is followed by one
 * that reads the same database and goes on. Two that run at once are kept apart by the revision (see RolloutWriter).
 */
export class RolloutAdvance {
  readonly #joined = new Map<number, number>();
  readonly #repeated = new Map<number, number>();
  /** When all boards that were told were compared with what was seen of them; a rollout that is missing is due. */
  readonly #looked = new Map<number, number>();
  readonly #zones = new Map<number, { at: number; zones: readonly string[] }>();

  constructor(
    private readonly repository: RolloutRepository,
    private readonly writer: RolloutWriter,
    private readonly figures: RolloutFigures,
    private readonly publisher: DesiredPublisher,
    private readonly certified: CertifiedClasses,
    private readonly labels: RolloutLabels,
    private readonly now: Now,
    private readonly log: Logger,
    /** There was more to do than fits into one turn. */
    private readonly again: () => void,
  ) {}

  /** One turn of all rollouts, newest first. A rollout that fails does not hold the others up. */
  async run(): Promise<void> {
    let more = false;
    for (const rollout of await this.repository.active()) {
      if (rollout.state === 'succeeded' && !this.#isDue(rollout.id)) continue;
      try {
        more = (await this.#advance(rollout)) || more;
      } catch (error) {
        this.log.error({ rollout: rollout.id, err: error }, 'a step of a rollout failed; it is tried again');
      }
    }
    if (more) this.again();
  }

  /** Boards reported, came or went: the next turn looks at all that were told. */
  lookAtBoards(): void {
    this.#looked.clear();
  }

  /** Boards were enrolled, tagged or certified: newcomers are looked for at the next turn. */
  lookForNewcomers(): void {
    this.#joined.clear();
    this.#zones.clear();
  }

  /** A finished rollout that follows has time: there may be many of them, and each looks at all its boards. */
  #isDue(id: number): boolean {
    return this.now().getTime() - (this.#joined.get(id) ?? 0) >= JOIN_EVERY_MS;
  }

  /** Returns whether it stopped before everything was decided. */
  async #advance(first: StoredRollout): Promise<boolean> {
    let rollout: StoredRollout | null = first;
    let moved = true;
    for (let steps = 0; steps < STEPS_AT_ONCE && moved && rollout !== null; steps += 1) {
      moved = await this.#step(rollout);
      if (moved) rollout = await this.repository.find(rollout.id);
    }
    if (rollout !== null) await this.#repeat(rollout);
    return moved && rollout !== null && !ENDED.includes(rollout.state);
  }

  /** Comparing every board that was told is the longest read of a step: in a turn in which nothing came, times are enough. */
  #which({ id, state }: StoredRollout, now: number): 'changed' | 'all' | 'overdue' {
    if (state === 'stopping') return 'all';
    return now - (this.#looked.get(id) ?? 0) < LOOK_EVERY_MS ? 'overdue' : 'changed';
  }

  /** Returns whether something was decided: then there may be more to decide. */
  async #step(rollout: StoredRollout): Promise<boolean> {
    const at = this.now();
    if (rollout.state === 'scheduled') return this.#startOnTime(rollout, at);
    const input = await this.#read(rollout, at);
    const made = step(rollout, input);
    const written = await this.#write(rollout, input, made, at);
    // Somebody else was first, or nothing changed: what was seen is looked at again.
    if (!written && input.touched.length > 0) this.#looked.delete(rollout.id);
    return written && made.decisions.length > 0;
  }

  async #startOnTime(rollout: StoredRollout, at: Date): Promise<boolean> {
    if (rollout.startAt === null || at < rollout.startAt) return false;
    const done = obey(rollout, { kind: 'start' }, 'system', at.getTime());
    if (!done.ok) return false;
    const { state, progress, again, promote, decision } = done;
    const rest = { members: [], desired: [], endedAt: null, startedAt: at };
    return this.writer.commit(rollout, {
      actor: 'system',
      at,
      state,
      progress,
      again,
      promote,
      decisions: [decision],
      ...rest,
    });
  }

  async #read(rollout: StoredRollout, at: Date): Promise<StepInput> {
    const { id, state, progress, spec } = rollout;
    const { repository } = this;
    const now = at.getTime();
    const targets = await targetsOf(rollout, repository, this.certified, (release) =>
      this.publisher.isPublished(release),
    );
    const which = this.#which(rollout, now);
    // Before the look: what comes meanwhile is for the next one.
    if (which === 'changed') this.#looked.set(id, now);
    const touched = await repository.touched(id, at, which, BOARDS_AT_ONCE);
    // There may be more of them.
    if (touched.length === BOARDS_AT_ONCE) this.#looked.delete(id);
    const { tallies, starts } = await repository.tallies(id, at, new Date(now - MINUTE_MS));
    const active = state === 'running' || (state === 'succeeded' && progress.phase === 'following');
    const turningBack = state === 'turning-back';
    const digests = [targets.A, targets.B].flatMap((target) => (target === null ? [] : [target.release.digest]));
    const holding = turningBack ? await repository.holding(id, digests, BOARDS_AT_ONCE) : { pairs: [], count: 0 };
    const seen = new Set(touched.map(({ member }) => member.deviceId));
    const candidates = turningBack
      ? holding.pairs.filter(({ member }) => !seen.has(member.deviceId))
      : active && progress.phase !== 'planning'
        ? await this.#candidates(rollout, at, tallies, touched.length)
        : [];
    const joins = active && now - (this.#joined.get(id) ?? 0) >= JOIN_EVERY_MS;
    const wantsFigures = needsFigures(rollout, tallies, now);
    return {
      ...{ now, targets, touched, candidates, tallies, startsLastMinute: starts, toTurnBack: holding.count },
      zones: await this.#zonesOf(rollout, now),
      lacking: turningBack ? new Map() : await this.labels.missing(rollout, candidates),
      installable: await repository.installable(),
      joining: joins ? await this.#joining(rollout, targets, now) : null,
      recertified: joins ? await this.#recertified(id, spec, targets) : [],
      figures: wantsFigures
        ? await this.figures.ofRollout(id, progress.phase === 'comparing' ? null : progress.wave)
        : null,
    };
  }

  async #candidates(
    { id, spec, progress }: StoredRollout,
    at: Date,
    tallies: StepInput['tallies'],
    freed: number,
  ): Promise<Pair[]> {
    const out = tallies.reduce((sum, tally) => sum + (tally?.out ?? 0), 0);
    const room = Math.min(BOARDS_AT_ONCE, spec.concurrency - out + freed);
    const coming = tallies.reduce((sum, tally, wave) => sum + (wave <= progress.wave ? (tally?.coming ?? 0) : 0), 0);
    if (room <= 0 || coming === 0) return [];
    const zones = spec.windows.length === 0 ? null : await this.#openZones(spec, at);
    if (zones?.length === 0) return [];
    return this.repository.candidates(id, progress.wave, at, zones, room);
  }

  /** Zones that the deadlines of a rollout go by. Read now and then only: every step asks. */
  async #zonesOf({ id, spec }: StoredRollout, now: number): Promise<readonly string[]> {
    if (spec.windows.every(({ timeZone }) => timeZone !== undefined)) return [];
    const known = this.#zones.get(id);
    if (known !== undefined && now - known.at < ZONES_FOR_MS) return known.zones;
    const zones = await this.repository.zonesOf(id);
    // Before it is planned it has no boards.
    if (zones.length > 0) this.#zones.set(id, { at: now, zones });
    return zones;
  }

  async #openZones(spec: RolloutSpec, at: Date): Promise<string[]> {
    const zones = await this.repository.timeZones();
    return zones.filter((zone) => isOpen(spec.windows, zone, at.getTime()));
  }

  async #joining({ id, spec, progress }: StoredRollout, targets: StepInput['targets'], now: number): Promise<Member[]> {
    const boards = await this.repository.newcomers(id, spec.selector.devices);
    this.#joined.set(id, now);
    if (progress.phase === 'planning') return plan(spec, boards, targets, progress);
    if (boards.length === 0) return [];
    return late(spec, boards, targets, progress, await this.repository.nextPosition(id));
  }

  async #recertified(id: number, { comparison }: RolloutSpec, { A, B }: StepInput['targets']): Promise<Pair[]> {
    // A board of a comparison must be certified for what its own cohort gets; the engine looks again when it is told.
    const classes =
      comparison === undefined || B === null ? A.classes : A.classes.filter((one) => B.classes.includes(one));
    return this.repository.recertified(id, classes, BOARDS_AT_ONCE);
  }

  /** Writes a step that changes something, then tells the boards. False: nothing was to be written, or somebody else was first. */
  async #write(rollout: StoredRollout, input: StepInput, made: Step, at: Date): Promise<boolean> {
    const moved = made.state !== rollout.state || JSON.stringify(made.progress) !== JSON.stringify(rollout.progress);
    if (!moved && made.members.length === 0 && made.decisions.length === 0) return false;
    const desired = made.tellings.map((telling) => desiredOf(rollout.spec, telling, at));
    const before = await this.#before(rollout.spec, made.tellings, at);
    const told = new Map(made.tellings.map(({ deviceId, generation }) => [deviceId, generation]));
    const boards = new Map(
      [...input.touched, ...input.candidates, ...input.recertified].map(({ board }) => [board?.id, board]),
    );
    const members = made.members.map((member) => {
      const board = boards.get(member.deviceId);
      const seen = board == null ? null : seenOf(board, told.get(member.deviceId) ?? board.generation);
      return { member: { ...member, before: before.get(member.deviceId) ?? member.before }, seen };
    });
    const ends = ENDED.includes(made.state) && !ENDED.includes(rollout.state);
    const written = await this.writer.commit(rollout, {
      ...{ actor: 'system', at, state: made.state, progress: made.progress, members, desired },
      ...{ promote: made.promote, again: [], decisions: made.decisions },
      startedAt: rollout.startedAt === null ? null : new Date(rollout.startedAt),
      endedAt: ends ? at : rollout.endedAt,
    });
    if (written && desired.length > 0) await this.publisher.publishDesired(desired.map((one) => one.deviceId));
    return written;
  }

  /** What boards that are offered the release measured until now, where something will be held against it. */
  async #before(spec: RolloutSpec, tellings: readonly Telling[], at: Date) {
    const wanted = spec.gates.some((gate) => gate.of === 'ratio') || spec.comparison !== undefined;
    const offered = tellings.filter(({ why }) => why === 'offer').map(({ deviceId }) => deviceId);
    return this.figures.before(wanted ? offered : [], at);
  }

  async #repeat({ id, state }: StoredRollout): Promise<void> {
    if (ENDED.includes(state) && state !== 'succeeded') return;
    const now = this.now().getTime();
    if (now - (this.#repeated.get(id) ?? 0) < REPEAT_AFTER_MS) return;
    this.#repeated.set(id, now);
    const silent = await this.repository.unanswered(id, new Date(now - REPEAT_AFTER_MS), BOARDS_AT_ONCE);
    if (silent.length > 0) await this.publisher.publishDesired(silent);
  }
}

/** The signed word to a board. A recall and a way back are given without the conditions of the offer. */
function desiredOf(spec: RolloutSpec, { deviceId, why, generation, release, retry }: Telling, at: Date): Desired {
  const { trial, shadow, delivery } = spec;
  const request = {
    release: release as NonNullable<Desired['release']>,
    ...(retry ? { retry } : {}),
    ...(why === 'offer' ? { trial, delivery } : {}),
    ...(why === 'offer' && shadow !== undefined
      ? { shadow: { ...Value.Create(ShadowPolicy), ...shadow, outcome: 'trial' as const } }
      : {}),
  };
  return nextDesired(deviceId, generation - 1, request, at);
}

import type { ReleaseReference } from '@vigie/protocol';
import type {
  Board,
  Decision,
  Instant,
  Member,
  Pair,
  Progress,
  Reason,
  Rollout,
  Step,
  StepInput,
  Telling,
  WaveTally,
} from './model.js';
import { openTime } from './open-time.js';
import type { MemberState, RolloutState } from './states.js';

/**
 * A step under way: what it changes, and the counts as they are with these changes. Every change of a member goes through
 * `set`, so the counts that are judged are those that will be stored.
 */
export class Draft {
  state: RolloutState;
  progress: Progress;
  promote: Step['promote'] = null;
  readonly tellings: Telling[] = [];
  readonly decisions: Decision[] = [];
  readonly #members = new Map<string, Member>();
  readonly #told = new Set<string>();
  readonly #tallies: WaveTally[];

  constructor(
    readonly rollout: Rollout,
    readonly input: StepInput,
  ) {
    this.state = rollout.state;
    this.progress = { ...rollout.progress };
    this.#tallies = input.tallies.map((tally) => ({ ...tally, states: { ...tally.states } }));
  }

  get now(): Instant {
    return this.input.now;
  }

  /**
   * When so many seconds since then are over; the time in which no board's window is open does not count. While all are closed
   * it moves on with the clock.
   */
  dueAt(since: Instant | null, seconds: number): Instant {
    if (since === null) return 0;
    const { input, rollout, now } = this;
    return now + seconds * 1000 - openTime(rollout.spec.windows, input.zones, since, now);
  }

  /** Counts of a wave. */
  tally(wave: number): WaveTally {
    this.#tallies[wave] ??= { states: {}, out: 0, coming: 0, unreachable: 0, silent: 0 };
    return this.#tallies[wave];
  }

  /** Over all waves. */
  total(figure: Exclude<keyof WaveTally, 'states'>): number {
    return this.#tallies.reduce((sum, tally) => sum + (tally?.[figure] ?? 0), 0);
  }

  count(state: MemberState): number {
    return this.#tallies.reduce((sum, tally) => sum + (tally?.states[state] ?? 0), 0);
  }

  /** Boards of this wave and the ones before it that can be told and have not been. */
  get pending(): number {
    let sum = 0;
    for (let wave = 0; wave <= this.progress.wave; wave += 1) sum += this.tally(wave).coming;
    return sum;
  }

  /** A member as it is after the changes of this step so far. */
  current(pair: Pair): Member {
    return this.#members.get(pair.member.deviceId) ?? pair.member;
  }

  set(pair: Pair, next: Member): void {
    const present = this.current(pair);
    this.#count(present, pair.board, -1);
    this.#count(next, pair.board, 1);
    this.#members.set(next.deviceId, next);
  }

  add(member: Member): void {
    // Whether it is online shows when it is read the next time.
    this.#count(member, null, 1);
    this.#members.set(member.deviceId, member);
  }

  /** Tells a board something: one generation above everything it was told. */
  tell(pair: Pair & { board: Board }, why: Telling['why'], release: ReleaseReference | null, retry: boolean): number {
    const generation = pair.board.generation + 1;
    if (this.#told.has(pair.board.id)) throw new RangeError(`${pair.board.id} is told two things in one step`);
    this.#told.add(pair.board.id);
    this.tellings.push({ deviceId: pair.board.id, why, generation, release, retry });
    return generation;
  }

  decide(kind: Decision['kind'], text: string, inputs: Record<string, unknown> = {}): void {
    this.decisions.push({ kind, wave: this.progress.phase === 'planning' ? null : this.progress.wave, text, inputs });
  }

  pause(reason: Reason, inputs: Record<string, unknown>): void {
    this.state = 'paused';
    this.progress.reason = reason;
    this.decide('paused', `${reason.text}; it waits for an operator`, { code: reason.code, ...inputs });
  }

  turnBack(reason: Reason, inputs: Record<string, unknown>): void {
    this.state = 'turning-back';
    this.progress.reason = reason;
    this.progress.turningBackSince = this.now;
    this.decide('turning-back', `${reason.text}; its boards go back to what they ran before`, {
      code: reason.code,
      ...inputs,
    });
  }

  end(state: RolloutState, reason: Reason, inputs: Record<string, unknown> = {}): void {
    this.state = state;
    this.progress.reason = reason;
    this.decide('ended', `${state}: ${reason.text}`, { code: reason.code, ...inputs });
  }

  result(): Step {
    const { state, progress, tellings, decisions, promote } = this;
    return { state, progress, members: [...this.#members.values()], tellings, decisions, promote };
  }

  #count(member: Member, board: Board | null, by: number): void {
    const tally = this.tally(member.wave);
    tally.states[member.state] = (tally.states[member.state] ?? 0) + by;
    if (member.out) tally.out += by;
    if (board === null || board.revoked) return;
    if (isWaiting(member)) {
      if (!board.online) tally.unreachable += by;
      else if ((member.retryAt ?? 0) <= this.now) tally.coming += by;
    }
    if (member.state === 'succeeded' && !board.online) tally.silent += by;
  }
}

/** May be told: never was, or was taken back. */
export function isWaiting({ state, out }: Pick<Member, 'state' | 'out'>): boolean {
  return state === 'waiting' || (state === 'deferred' && !out);
}

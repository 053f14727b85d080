import { type SelectableDevice, selects, stableShare } from '../devices/selector.js';
import { type Cohort, certifiedFor, type Instant, type Member, type Progress, type StepInput } from './model.js';
import type { RolloutSpec } from './spec.js';

/** What the plan needs to know of a board. */
export interface PlannedBoard extends SelectableDevice {
  /** Digest that is wanted of it. */
  base: string | null;
  previous: Member['previous'];
}

/**
 * Salt of the boards' order and cohorts: each release lays the boards out differently, and a dry run as the rollout after it.
 */
export function saltOf({ salt, release }: Pick<RolloutSpec, 'salt' | 'release'>): string {
  return salt === '' ? `${release.name}@${release.version}` : salt;
}

export function cohortOf(spec: RolloutSpec, deviceId: string, winner: Cohort | null): Cohort {
  if (winner !== null) return winner;
  if (spec.comparison === undefined) return 'A';
  return stableShare(deviceId, `${saltOf(spec)}/cohort`) < spec.comparison.share ? 'B' : 'A';
}

/**
 * Lays boards into waves, in the rollout's order: a wave with a count takes so many more, one with a share fills up to that
 * share of all. Boards of a class that the release is not certified for are members outside of every count. Boards that are
 * not selected are left out. Deterministic.
 */
export function plan(
  spec: RolloutSpec,
  boards: readonly PlannedBoard[],
  targets: StepInput['targets'],
  progress: Pick<Progress, 'winner'>,
): Member[] {
  const { devices, ...conditions } = spec.selector;
  const named = devices && new Set(devices);
  const selected = boards.filter((board) => (named?.has(board.id) ?? true) && selects(conditions, board));
  const ordered = inOrder(selected, spec).map((board, position): { board: PlannedBoard; member: Member } => ({
    board,
    member: newMember(board, 0, position, cohortOf(spec, board.id, progress.winner)),
  }));
  const certified: Member[] = [];
  for (const { board, member } of ordered) {
    const target = targets[member.cohort] ?? targets.A;
    if (certifiedFor(target, board.hardwareClass)) certified.push(member);
    else uncertified(member, board.hardwareClass);
  }
  const ends = waveEnds(spec, certified.length);
  let wave = 0;
  for (const [index, member] of certified.entries()) {
    while (wave < ends.length - 1 && index >= ends[wave]) wave += 1;
    member.wave = wave;
  }
  return ordered.map(({ member }) => member);
}

/** How many boards the waves hold in all, up to and with each one. */
export function waveEnds(spec: Pick<RolloutSpec, 'waves'>, boards: number): number[] {
  let end = 0;
  return spec.waves.map(({ size }) => {
    end = Math.min(boards, 'count' in size ? end + size.count : Math.max(end, Math.ceil(size.share * boards)));
    return end;
  });
}

/** Boards that came to match after the plan was made: they join the present wave. */
export function late(
  spec: RolloutSpec,
  boards: readonly PlannedBoard[],
  targets: StepInput['targets'],
  { wave, winner }: Pick<Progress, 'wave' | 'winner'>,
  firstPosition: number,
): Member[] {
  return plan(spec, boards, targets, { winner }).map((member, index) => ({
    ...member,
    wave,
    position: firstPosition + index,
  }));
}

function newMember({ id, base, previous }: PlannedBoard, wave: number, position: number, cohort: Cohort): Member {
  const never: Instant | null = null;
  return {
    ...{ deviceId: id, wave, position, cohort, state: 'waiting', out: false, code: null, message: null, base },
    ...{ told: null, generation: null, previous, attempt: 0, offeredAt: never, reachedAt: never, endedAt: never },
    ...{ holdUntil: never, retryAt: never, before: null, fetchedBytes: null },
  };
}

function uncertified(member: Member, hardwareClass: string): void {
  member.state = 'not-certified';
  member.code = 'CLASS_NOT_CERTIFIED';
  member.message = `no certificate for ${hardwareClass}`;
}

function inOrder(boards: readonly PlannedBoard[], spec: RolloutSpec): PlannedBoard[] {
  const listed = new Map(spec.selector.devices?.map((deviceId, index) => [deviceId, index]));
  const keyOf = (deviceId: string): number => {
    if (spec.order === 'hash') return stableShare(deviceId, saltOf(spec));
    return spec.order === 'listed' ? (listed.get(deviceId) ?? 0) : 0;
  };
  const keyed = boards.map((board) => ({ board, key: keyOf(board.id) }));
  keyed.sort((a, b) => a.key - b.key || (a.board.id < b.board.id ? -1 : 1));
  return keyed.map(({ board }) => board);
}

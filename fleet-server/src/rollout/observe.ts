import type { ReleaseReference } from '@vigie/protocol';
import { isInSync } from '../devices/device-view.js';
import type { Board, Instant, Member, Pair } from './model.js';
import type { RolloutSpec } from './spec.js';
import { ERROR_EFFECTS, type MemberCode } from './states.js';

/** First wait before a board that was taken back is told again, and the longest, ms. */
const AGAIN_FIRST_MS = 60_000;
const AGAIN_LONGEST_MS = 86_400_000;
/** A deadline that stands still while windows are closed is looked at again after so long, ms. */
const LOOK_AGAIN_MS = 60_000;

/** Wait after the n-th attempt (1 is the first), doubling, ms. */
export function againAfter(attempt: number): number {
  return Math.min(AGAIN_LONGEST_MS, AGAIN_FIRST_MS * 2 ** Math.min(20, Math.max(0, attempt - 1)));
}

/** How long a board may take. */
export interface Limits extends Pick<RolloutSpec, 'installSeconds' | 'holdSeconds'> {
  /** The wave's deadline as far as it is known now: no offer is outstanding beyond it. */
  until: Instant;
}

export interface Observation {
  member: Member;
  /** The outstanding offer must be taken back: its time is up, or the rollout stops. */
  recall: boolean;
}

/**
 * What a board that was told has come to. Only its own proof makes `succeeded`; only what speaks against the release makes
 * `failed`. The same board and member always give the same answer, so a report that is seen twice changes nothing.
 * `target`: what the member's cohort gets.
 */
export function observe({ member, board }: Pair, target: ReleaseReference, limits: Limits, now: Instant): Observation {
  const keep = (changes: Partial<Member>): Observation => ({ member: { ...member, ...changes }, recall: false });
  const end = (changes: Partial<Member>) => keep({ out: false, holdUntil: null, endedAt: now, ...changes });
  if (board === null || board.revoked) {
    if (!member.out && member.state !== 'turning-back') return keep({});
    return end({ state: 'left', code: 'REVOKED', message: 'the board was revoked' });
  }
  const wanted = board.desired?.release?.digest ?? null;
  if (wanted !== member.told) {
    return end({
      state: 'taken-over',
      code: 'ANOTHER_ASSIGNMENT',
      message: `generation ${board.generation} wants ${nameOf(board.desired?.release)}`,
    });
  }
  // Its configuration may have changed meanwhile: the same release at a newer generation is still our word.
  const current = { ...member, generation: board.generation };
  if (member.state === 'turning-back') {
    const back = isInSync(board) || (member.told === null && answers(board, current));
    return { member: back ? { ...current, state: 'turned-back', out: false, endedAt: now } : current, recall: false };
  }
  if (member.told !== target.digest) return { member: current, recall: false };
  return observeTold(current, board, limits, now);
}

function observeTold(member: Member, board: Board, limits: Limits, now: Instant): Observation {
  const keep = (changes: Partial<Member>): Observation => ({ member: { ...member, ...changes }, recall: false });
  const fetchedBytes = answers(board, member) ? (board.reported?.delivery?.fetchedBytes ?? member.fetchedBytes) : null;
  if (isInSync(board)) {
    if (member.state === 'succeeded') return keep({});
    const reachedAt = member.reachedAt ?? now;
    return keep({ ...ENDED_WELL, state: 'succeeded', reachedAt, endedAt: now, fetchedBytes });
  }
  if (member.state === 'succeeded') {
    const active = board.reported?.active;
    const other = answers(board, member) && active && active.release.digest !== member.told;
    if (!other) return keep({});
    const message = `ran ${nameOf(active.release)} again after it had proved the new one`;
    return keep({ state: 'failed', code: 'REGRESSED', message, endedAt: now });
  }
  if (!member.out) return keep({});
  const reached = answers(board, member) ? judgeReport(member, board, limits, now, fetchedBytes) : member;
  if (!reached.out || reached.holdUntil === null || now < reached.holdUntil) return { member: reached, recall: false };
  const longest = (reached.offeredAt ?? now) + limits.installSeconds * 1000;
  if (reached.state === 'in-progress' && now < Math.min(longest, limits.until)) {
    // The deadline has moved on: a window has closed meanwhile, or an operator has resumed the rollout.
    const holdUntil = Math.min(longest, Math.max(limits.until, now + LOOK_AGAIN_MS));
    return { member: { ...reached, holdUntil }, recall: false };
  }
  return { member: outOfTime(reached, board, now), recall: true };
}

const ENDED_WELL = { out: false, code: null, message: null, holdUntil: null, retryAt: null } as const;

/** Has the board's present start answered what this rollout told it? */
function answers(board: Board, member: Member): boolean {
  const { reported } = board;
  return reported !== null && reported.bootId === board.bootId && reported.generation >= (member.generation ?? 0);
}

function judgeReport(
  member: Member,
  { reported }: Board,
  limits: Limits,
  now: Instant,
  fetchedBytes: number | null,
): Member {
  const error = reported?.error ?? null;
  const phase = reported?.phase ?? 'IDLE';
  const reachedAt = member.reachedAt ?? now;
  const atWork = { ...member, reachedAt, fetchedBytes };
  const ended = error !== null && ['IDLE', 'FAILED', 'ROLLED_BACK', 'INCONCLUSIVE', 'SHADOWED'].includes(phase);
  if (!ended) {
    const holdUntil =
      member.state === 'in-progress'
        ? member.holdUntil
        : Math.min(limits.until, (member.offeredAt ?? now) + limits.installSeconds * 1000);
    return { ...atWork, state: 'in-progress', code: null, message: null, holdUntil };
  }
  const { code, message } = error;
  const effect = phase === 'INCONCLUSIVE' || reported?.retry !== undefined ? 'later' : ERROR_EFFECTS[code];
  if (effect === 'later') {
    const holdUntil =
      member.state === 'deferred'
        ? member.holdUntil
        : Math.min(member.holdUntil ?? Number.POSITIVE_INFINITY, now + limits.holdSeconds * 1000);
    return { ...atWork, state: 'deferred', code, message, holdUntil };
  }
  const over = { ...atWork, out: false, holdUntil: null, endedAt: now, code: code as MemberCode, message };
  return { ...over, state: effect === 'against' ? 'failed' : 'declined' };
}

/** What a board becomes whose offer is taken back because its time is up. */
function outOfTime(member: Member, board: Board, now: Instant): Member {
  const back = { ...member, out: false, holdUntil: null, retryAt: now + againAfter(member.attempt) };
  if (member.state === 'deferred') return back;
  if (member.state === 'in-progress' && board.online) {
    const message = `still ${board.reported?.phase ?? 'at work'} when its time was up`;
    return { ...back, retryAt: null, state: 'timed-out', code: 'TIMED_OUT', message, endedAt: now };
  }
  const code = member.state === 'offered' ? 'NO_ANSWER' : 'LOST_CONTACT';
  return { ...back, state: 'waiting', code, message: null };
}

function nameOf(release: ReleaseReference | null | undefined): string {
  return release ? `${release.name}@${release.version}` : 'nothing';
}

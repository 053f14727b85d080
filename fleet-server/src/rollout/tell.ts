import type { ReleaseReference } from '@vigie/protocol';
import { isInSync } from '../devices/device-view.js';
import { selects } from '../devices/selector.js';
import type { Draft } from './draft.js';
import { ruleOf } from './judge.js';
import { type Board, certifiedFor, type Member, type Pair, type StepInput, type Target } from './model.js';
import type { MemberCode, MemberState } from './states.js';
import { isOpen } from './windows.js';

type Enrolled = Pair & { board: Board };

export function targetOf(targets: StepInput['targets'], member: Member): Target {
  return member.cohort === 'B' && targets.B !== null ? targets.B : targets.A;
}

/** Offers the release to those whose turn it is, as far as concurrency and rate allow. */
export function offer(draft: Draft): void {
  const { rollout, input } = draft;
  const { spec } = rollout;
  const rate = (spec.startsPerMinute ?? Number.POSITIVE_INFINITY) - input.startsLastMinute;
  let budget = Math.min(spec.concurrency - draft.total('out'), rate);
  const offered: { device: string; generation: number }[] = [];
  for (const pair of input.candidates) {
    if (budget <= 0) break;
    const member = draft.current(pair);
    const outside = standsOutside(draft, pair);
    if (outside !== null) {
      draft.set(pair, { ...member, ...outside, endedAt: draft.now });
      continue;
    }
    const { board } = pair as Enrolled;
    if (!board.online || (member.retryAt ?? 0) > draft.now) continue;
    if (!isOpen(spec.windows, board.timeZone, draft.now)) continue;
    offered.push({ device: board.id, generation: offerTo(draft, pair as Enrolled) });
    budget -= 1;
  }
  if (offered.length === 0) return;
  draft.decide('offered', `offered to ${boards(offered.length)}`, { devices: offered, out: draft.total('out') });
}

function offerTo(draft: Draft, pair: Enrolled): number {
  const { now, progress, rollout } = draft;
  const { spec } = rollout;
  const member = draft.current(pair);
  const { release } = targetOf(draft.input.targets, member);
  const attempt = member.attempt + 1;
  const generation = draft.tell(pair, 'offer', release, spec.retry || attempt > 1);
  const holdUntil = Math.min(now + spec.answerSeconds * 1000, latestOffer(draft));
  draft.set(pair, {
    ...member,
    ...{ wave: progress.wave, state: 'offered', out: true, code: null, message: null },
    ...{ told: release.digest, generation, attempt, offeredAt: now, holdUntil },
    ...{ reachedAt: null, endedAt: null, retryAt: null },
    previous: member.told === null ? previousOf(pair.board, release) : member.previous,
  });
  return generation;
}

/** No offer is outstanding beyond the deadline of its wave. */
export function latestOffer(draft: Draft): number {
  const { progress, rollout } = draft;
  if (progress.phase !== 'open' && progress.phase !== 'promoting') return Number.POSITIVE_INFINITY;
  return draft.dueAt(progress.openedAt, ruleOf({ spec: rollout.spec, progress }).deadlineSeconds);
}

/** What a board goes back to: what was wanted of it, else what it runs; that first where it could not take what was wanted. */
function previousOf({ desired, reported, generation }: Board, target: ReleaseReference): ReleaseReference | null {
  const active = reported?.active?.release;
  const failed = reported != null && reported.error !== null && reported.generation >= generation;
  const known = failed ? [active, desired?.release] : [desired?.release, active];
  return known.find((release) => release && release.digest !== target.digest) ?? null;
}

/** Why a board is not offered the release at all; null: it may be. */
function standsOutside(draft: Draft, pair: Pair): Partial<Member> | null {
  const { board, wantedBy, ownedBy } = pair;
  const { rollout, input } = draft;
  const member = draft.current(pair);
  const outside = (state: MemberState, code: MemberCode, message: string) => ({ state, code, message });
  if (board === null || board.revoked) return outside('left', 'REVOKED', 'the board was revoked');
  if (wantedBy !== null) return outside('taken-over', 'ANOTHER_ROLLOUT', `rollout ${wantedBy} is newer`);
  const wanted = board.desired?.release?.digest ?? null;
  const target = targetOf(input.targets, member);
  const olderRollout = ownedBy !== null && ownedBy < rollout.id;
  if (member.told === null) {
    if (!selects({ ...rollout.spec.selector, devices: undefined }, board))
      return outside('left', 'NOT_SELECTED', 'it is not selected any more');
    if (wanted === target.release.digest && isInSync(board)) return { state: 'already', code: null, message: null };
  }
  if (wanted !== (member.told ?? member.base) && wanted !== target.release.digest && !olderRollout)
    return outside('taken-over', 'ANOTHER_ASSIGNMENT', `generation ${board.generation} was assigned since`);
  const lacking = input.lacking.get(board.id);
  if (lacking !== undefined) return outside('left', 'LABELS_MISSING', lacking);
  if (!certifiedFor(target, board.hardwareClass))
    return outside('not-certified', 'CLASS_NOT_CERTIFIED', `no certificate for ${board.hardwareClass}`);
  return null;
}

/** Takes an outstanding offer back: the board stays with (or returns to) what it ran. */
export function recall(draft: Draft, pair: Pair, ended: Member): void {
  if (pair.board === null || pair.board.revoked) {
    draft.set(pair, ended);
    return;
  }
  const release = reinstallable(draft, pair as Enrolled) ? ended.previous : null;
  const generation = draft.tell(pair as Enrolled, 'recall', release, true);
  draft.set(pair, { ...ended, told: release?.digest ?? null, generation });
}

/** Turns back those who hold the release still. */
export function restore(draft: Draft): number {
  let told = 0;
  for (const pair of draft.input.candidates) {
    const member = draft.current(pair);
    const { board } = pair;
    const end = (state: MemberState, code: MemberCode, message: string) =>
      draft.set(pair, { ...member, state, out: false, code, message, endedAt: draft.now, holdUntil: null });
    if (board === null || board.revoked) end('left', 'REVOKED', 'the board was revoked');
    else if ((board.desired?.release?.digest ?? null) !== member.told)
      end('taken-over', 'ANOTHER_ASSIGNMENT', `generation ${board.generation} was assigned since`);
    else if (!reinstallable(draft, pair as Enrolled) && !member.out) {
      const none = member.previous === null;
      const message = none ? 'it ran nothing before' : 'what it ran before cannot be installed any more';
      end('kept', none ? 'NO_PREVIOUS' : 'PREVIOUS_WITHDRAWN', message);
    } else {
      const release = reinstallable(draft, pair as Enrolled) ? member.previous : null;
      const generation = draft.tell(pair as Enrolled, 'restore', release, true);
      const back = { ...member, told: release?.digest ?? null, generation, out: false, holdUntil: null, retryAt: null };
      draft.set(pair, { ...back, state: 'turning-back' });
      told += 1;
    }
  }
  return told;
}

/** May what the board ran before be asked of it? It is installable, or runs still. */
function reinstallable({ input }: Draft, { member, board }: Enrolled): boolean {
  const digest = member.previous?.digest;
  return digest !== undefined && (input.installable.has(digest) || board.reported?.active?.release.digest === digest);
}

export function boards(count: number): string {
  return count === 1 ? '1 board' : `${count} boards`;
}

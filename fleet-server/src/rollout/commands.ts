import { type Cohort, type Decision, type Instant, NEW_PROGRESS, type Progress, type Rollout } from './model.js';
import type { MemberState, RolloutState } from './states.js';

/** What an operator may say to a rollout. */
export type RolloutCommand =
  | { kind: 'start' }
  | { kind: 'pause'; reason?: string }
  /** `accept`: take the wave as it is, though its thresholds or gates did not hold. */
  | { kind: 'resume'; accept?: boolean }
  | { kind: 'abort'; reason?: string }
  | { kind: 'rollback'; reason?: string }
  /** Boards that failed, declined, were not ready in time or went back are told again. */
  | { kind: 'retry' }
  /** The wave that waits, or the winner of a comparison. */
  | { kind: 'approve'; winner?: Cohort; reason?: string };

export type CommandRefusal = 'ROLLOUT_STATE_FORBIDDEN' | 'APPROVAL_NEEDS_ANOTHER';

export type CommandResult =
  | {
      ok: true;
      state: RolloutState;
      progress: Progress;
      startedAt: Instant | null;
      decision: Decision;
      /** Members in these states wait again, to be told once more. */
      again: readonly MemberState[];
      promote: Cohort | null;
    }
  | { ok: false; code: CommandRefusal; detail: string };

/** Which states a command is taken in. */
const TAKEN_IN: Record<RolloutCommand['kind'], readonly RolloutState[]> = {
  start: ['ready', 'scheduled'],
  pause: ['running'],
  resume: ['paused'],
  abort: ['ready', 'scheduled', 'running', 'paused', 'succeeded'],
  rollback: ['running', 'paused', 'stopping', 'succeeded', 'failed', 'aborted', 'expired'],
  retry: ['running', 'paused', 'succeeded', 'turned-back', 'failed', 'aborted', 'expired'],
  approve: ['running', 'paused'],
};
const AGAIN: readonly MemberState[] = ['failed', 'declined', 'timed-out', 'turned-back'];

/** Answers a command; nothing is changed by a refusal. Boards are told by the next steps. */
export function obey(rollout: Rollout, command: RolloutCommand, actor: string, now: Instant): CommandResult {
  const { state, spec } = rollout;
  if (!TAKEN_IN[command.kind].includes(state))
    return refuse(`a rollout that is ${state} takes no ${command.kind}; ${TAKEN_IN[command.kind].join(', ')} do`);
  const progress = { ...rollout.progress };
  const done = (
    next: RolloutState,
    kind: Decision['kind'],
    text: string,
    more: Partial<Extract<CommandResult, { ok: true }>> = {},
    inputs: Record<string, unknown> = {},
  ): CommandResult => ({
    ...{ ok: true, state: next, progress, startedAt: rollout.startedAt, again: [], promote: null },
    decision: {
      ...{ kind, wave: progress.phase === 'planning' ? null : progress.wave, text },
      inputs: { actor, command, ...inputs },
    },
    ...more,
  });
  const because = (words: string) => {
    const given = 'reason' in command && command.reason !== undefined ? `: ${command.reason}` : '';
    return { code: 'OPERATOR' as const, text: `${words} by ${actor}${given}` };
  };
  switch (command.kind) {
    case 'start':
      return done('running', 'started', `started by ${actor}`, { startedAt: now });
    case 'pause':
      progress.reason = because('paused');
      return done('paused', 'paused', progress.reason.text);
    case 'resume':
      afresh(progress, now);
      progress.accepted = command.accept === true;
      return done(
        'running',
        'resumed',
        `resumed by ${actor}${progress.accepted ? ', who takes the wave as it is' : ''}`,
      );
    case 'abort':
      progress.reason = because('aborted');
      if (state === 'succeeded') {
        if (progress.phase !== 'following') return refuse('it has ended, and follows no boards');
        progress.phase = 'ended';
        return done('succeeded', 'ended', `follows no more boards: ${progress.reason.text}`);
      }
      progress.stopsAs = 'aborted';
      return done('stopping', 'stopping', progress.reason.text);
    case 'rollback':
      progress.reason = because('turned back');
      progress.turningBackSince = now;
      return done('turning-back', 'turning-back', progress.reason.text);
    case 'retry': {
      const again = { again: AGAIN };
      if (state === 'running') return done('running', 'retried', `retried by ${actor}`, again);
      if (state === 'paused' || (state === 'succeeded' && progress.phase === 'following')) {
        if (state === 'paused') afresh(progress, now);
        return done(state === 'paused' ? 'running' : state, 'retried', `retried by ${actor}`, again);
      }
      // It has ended: its waves are gone through again, from the first one; boards that hold the release stay.
      const { approvals, winner } = progress;
      Object.assign(progress, { ...NEW_PROGRESS, approvals, winner, phase: 'open', openedAt: now });
      return done('running', 'retried', `retried by ${actor}`, { ...again, startedAt: now });
    }
    case 'approve':
      return approve(rollout, progress, command, actor, now, done);
    default:
      throw new RangeError(`no such command: ${JSON.stringify(command)} for ${spec.title}`);
  }
}

type Done = (
  next: RolloutState,
  kind: Decision['kind'],
  text: string,
  more?: Partial<Extract<CommandResult, { ok: true }>>,
  inputs?: Record<string, unknown>,
) => CommandResult;

function approve(
  { state, spec, createdBy }: Rollout,
  progress: Progress,
  command: Extract<RolloutCommand, { kind: 'approve' }>,
  actor: string,
  now: Instant,
  done: Done,
): CommandResult {
  const why = command.reason === undefined ? '' : `: ${command.reason}`;
  if (command.winner !== undefined) {
    if (state !== 'paused' || progress.phase !== 'comparing' || progress.winner !== null)
      return refuse('no comparison waits for a winner');
    const compared = progress.reason;
    Object.assign(progress, { winner: command.winner, phase: 'promoting', wave: spec.waves.length });
    Object.assign(progress, { openedAt: now, soakingSince: null, silentSince: null, accepted: false, reason: null });
    const text = `${actor} chose release ${command.winner}${why}; it goes to all boards`;
    return done('running', 'promoting', text, { promote: command.winner }, { compared });
  }
  if (state !== 'running' || progress.phase !== 'approval') return refuse('no wave waits for approval');
  const wave = spec.waves[progress.wave];
  if (wave.approval === 'second-person' && actor === createdBy)
    return {
      ok: false,
      code: 'APPROVAL_NEEDS_ANOTHER',
      detail: `${actor} made this rollout; somebody else must approve`,
    };
  progress.approvals = [...progress.approvals, { wave: progress.wave, by: actor, at: now }];
  Object.assign(progress, { phase: 'open', openedAt: now });
  return done('running', 'approved', `wave "${wave.name}" approved by ${actor}${why}`);
}

/** After a pause the wave has its whole time again. */
function afresh(progress: Progress, now: Instant): void {
  progress.reason = null;
  if (progress.phase === 'soaking') {
    Object.assign(progress, { phase: 'open', soakingSince: null, silentSince: null });
  }
  if (progress.phase === 'comparing') progress.comparingSince = now;
  if (progress.openedAt !== null) progress.openedAt = now;
}

function refuse(detail: string): CommandResult {
  return { ok: false, code: 'ROLLOUT_STATE_FORBIDDEN', detail };
}

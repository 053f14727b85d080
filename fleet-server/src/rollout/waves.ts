import { judgeComparison } from './cohorts.js';
import type { Draft } from './draft.js';
import { figuresOf, judgeSilence, judgeWave, ruleOf, soakEnds, type WaveVerdict } from './judge.js';
import { judgeGates } from './live-gates.js';
import type { Rollout } from './model.js';
import { boards, offer } from './tell.js';

/** Takes a running rollout through its waves: plan, approval, open, soak, and the comparison at their end. */
export function run(draft: Draft): void {
  const { progress } = draft;
  if (!available(draft)) {
    const text = 'the release was withdrawn or is not published';
    draft.pause({ code: 'RELEASE_UNAVAILABLE', text }, {});
    return;
  }
  if (progress.phase === 'planning') {
    planWaves(draft);
    return;
  }
  join(draft);
  switch (progress.phase) {
    case 'open':
    case 'promoting':
      judgeOpen(draft);
      break;
    case 'soaking':
      judgeSoaking(draft);
      break;
    case 'comparing':
      compare(draft);
      break;
    default:
      break;
  }
  if (draft.state === 'running' && mayOffer(draft)) offer(draft);
}

/** May what this rollout gives be given? After a comparison that is the winner alone: the loser may be withdrawn. */
export function available({ progress, input: { targets } }: Draft): boolean {
  const given = progress.winner === null ? [targets.A, targets.B] : [targets[progress.winner]];
  return given.every((target) => target?.available !== false);
}

function planWaves(draft: Draft): void {
  const { joining } = draft.input;
  if (joining === null) return;
  for (const member of joining) draft.add(member);
  const waves = draft.rollout.spec.waves.map(({ name }, index) => ({
    name,
    boards: figuresOf(draft.tally(index)).boards,
  }));
  const uncertified = draft.count('not-certified');
  const without = uncertified === 0 ? '' : `; ${boards(uncertified)} of classes without a certificate`;
  draft.decide('planned', waves.map(({ name, boards }) => `${name}: ${boards}`).join(', ') + without, {
    waves,
    uncertified,
  });
  openWave(draft, 0);
}

export function join(draft: Draft): void {
  const { joining, recertified } = draft.input;
  for (const pair of recertified) {
    const member = draft.current(pair);
    if (member.state !== 'not-certified') continue;
    draft.set(pair, { ...member, state: 'waiting', code: null, message: null, wave: draft.progress.wave });
  }
  if (joining === null || joining.length === 0) return;
  for (const member of joining) draft.add(member);
  draft.decide('joined', `${boards(joining.length)} came to match`, { devices: joining.map((one) => one.deviceId) });
}

function openWave(draft: Draft, wave: number): void {
  const { progress, rollout } = draft;
  Object.assign(progress, { wave, soakingSince: null, silentSince: null, accepted: false });
  const { approval, name } = ruleOf({ spec: rollout.spec, progress });
  const isWave = wave < rollout.spec.waves.length;
  if (isWave && approval !== 'none' && !progress.approvals.some((one) => one.wave === wave)) {
    progress.phase = 'approval';
    draft.decide('approval-needed', `wave "${name}" waits for approval`, { approval });
    return;
  }
  progress.phase = isWave ? 'open' : 'promoting';
  progress.openedAt = draft.now;
  draft.decide('wave-opened', `wave "${isWave ? name : 'winner'}" is open`, { ...figuresOf(draft.tally(wave)) });
}

/** Not after the end of the soak, so that it does end. */
function mayOffer({ progress, rollout, now }: Draft): boolean {
  if (progress.phase === 'open' || progress.phase === 'promoting') return true;
  const ends = soakEnds(ruleOf({ spec: rollout.spec, progress }), progress);
  return progress.phase === 'soaking' && ends !== null && now < ends;
}

function judgeOpen(draft: Draft): void {
  const { progress, rollout, now, pending } = draft;
  const rule = ruleOf({ spec: rollout.spec, progress });
  const figures = figuresOf(draft.tally(progress.wave));
  const late = now >= draft.dueAt(progress.openedAt, rule.deadlineSeconds);
  if (progress.accepted) {
    if (draft.total('out') === 0 && (pending === 0 || late)) soak(draft, { ...figures, accepted: true });
    return;
  }
  const verdict = judgeWave(rule, { ...figures, out: draft.total('out') }, pending, late);
  if (verdict.kind === 'settled') soak(draft, { ...figures, late });
  else conclude(draft, verdict, { ...figures, late, rule });
}

function soak(draft: Draft, inputs: Record<string, unknown>): void {
  const { progress, rollout } = draft;
  progress.phase = 'soaking';
  progress.soakingSince = draft.now;
  const { soakSeconds, name } = ruleOf({ spec: rollout.spec, progress });
  draft.decide('soaking', `wave "${name}" has settled and is watched for ${soakSeconds} s`, inputs);
}

function judgeSoaking(draft: Draft): void {
  const { progress, rollout, now, input } = draft;
  const rule = ruleOf({ spec: rollout.spec, progress });
  const figures = figuresOf(draft.tally(progress.wave));
  if (!progress.accepted) {
    const verdict = judgeWave(rule, { ...figures, out: draft.total('out') }, 0, false);
    if (verdict.kind === 'breach') {
      conclude(draft, verdict, { ...figures, rule });
      return;
    }
  }
  if (now < (soakEnds(rule, progress) ?? now) || draft.total('out') > 0) return;
  const inputs: Record<string, unknown> = { ...figures, accepted: progress.accepted };
  if (!progress.accepted) {
    const silence = judgeSilence(rule, figures);
    if (silence.kind !== 'settled') {
      if (isSilentForGood(draft)) conclude(draft, silence, inputs);
      return;
    }
    progress.silentSince = null;
    if (rollout.spec.gates.length > 0 && figures.succeeded > 0) {
      if (input.figures === null) return;
      const apart = rollout.spec.comparison !== undefined && progress.winner === null;
      const gates = judgeGates(rollout.spec.gates, input.figures, apart);
      inputs.gates = gates.results;
      if (gates.verdict.kind !== 'settled') {
        conclude(draft, gates.verdict, inputs);
        return;
      }
    }
  }
  const text = `${figures.succeeded} of ${figures.reached} reached boards succeeded`;
  const apart = `${figures.unreachable} unreachable, ${figures.deferred} deferred, ${figures.declined} declined`;
  const name = progress.wave < rollout.spec.waves.length ? rule.name : 'winner';
  draft.decide('wave-passed', `wave "${name}" passed: ${text} (${apart})`, inputs);
  nextWave(draft);
}

/** After a start of the server or the broker all boards are away for a moment: they have time to come back. */
function isSilentForGood({ progress, rollout, now }: Draft): boolean {
  progress.silentSince ??= now;
  return now - progress.silentSince >= rollout.spec.answerSeconds * 1000;
}

function conclude(draft: Draft, verdict: WaveVerdict, inputs: Record<string, unknown>): void {
  if (verdict.kind === 'inconclusive') draft.pause(verdict.reason, inputs);
  if (verdict.kind !== 'breach') return;
  if (draft.rollout.spec.autoRollback) draft.turnBack(verdict.reason, inputs);
  else draft.pause(verdict.reason, inputs);
}

function nextWave(draft: Draft): void {
  const { progress, rollout } = draft;
  const next = progress.wave + 1;
  if (next < rollout.spec.waves.length) {
    openWave(draft, next);
    return;
  }
  if (rollout.spec.comparison !== undefined && progress.winner === null) {
    progress.phase = 'comparing';
    progress.comparingSince = draft.now;
    draft.decide('soaking', `both releases run; they are compared in ${rollout.spec.comparison.seconds} s`);
    return;
  }
  progress.wave = rollout.spec.waves.length;
  progress.phase = rollout.spec.follow ? 'following' : 'ended';
  const text = `${boards(draft.count('succeeded'))} run it${rollout.spec.follow ? '; boards that come to match get it, too' : ''}`;
  draft.end(
    'succeeded',
    { code: 'DONE', text },
    { succeeded: draft.count('succeeded'), failed: draft.count('failed') },
  );
}

export function comparingEnds({ comparison }: Rollout['spec'], { comparingSince }: Rollout['progress']): number {
  return (comparingSince ?? 0) + (comparison?.seconds ?? 0) * 1000;
}

function compare(draft: Draft): void {
  const { progress, rollout, input, now } = draft;
  const { comparison } = rollout.spec;
  if (comparison === undefined || now < comparingEnds(rollout.spec, progress) || input.figures === null) return;
  const { winner, text, inputs } = judgeComparison(comparison, input.figures);
  draft.decide('compared', text, inputs);
  if (winner === null) {
    draft.pause({ code: 'COMPARISON_INCONCLUSIVE', text }, inputs);
    return;
  }
  if (comparison.promote === 'ask') {
    draft.pause({ code: 'COMPARISON_ASKS', text }, { winner, ...inputs });
    return;
  }
  promote(draft, winner);
}

/** The other cohort comes over: its boards are told as a last wave. */
function promote(draft: Draft, winner: 'A' | 'B'): void {
  const { progress, rollout } = draft;
  progress.winner = winner;
  draft.promote = winner;
  draft.decide('promoting', `release ${winner} goes to all boards`, { winner });
  openWave(draft, rollout.spec.waves.length);
}

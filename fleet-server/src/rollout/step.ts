import { Draft } from './draft.js';
import { follow, turnBack } from './endings.js';
import { figuresOf, ruleOf, soakEnds } from './judge.js';
import type { Member, Rollout, Step, StepInput } from './model.js';
import { observe } from './observe.js';
import { boards, latestOffer, recall, targetOf } from './tell.js';
import { comparingEnds, run } from './waves.js';

/**
 * One step of a rollout: what is seen and what the clock says → what is decided. Pure and deterministic: the same input gives
 * the same decisions, and a step that is made again from what was stored goes on where it stopped.
 * Order: boards are observed, then the wave is judged, and only then new boards are told; so nothing starts on old counts.
 */
export function step(rollout: Rollout, input: StepInput): Step {
  const draft = new Draft(rollout, input);
  observeAll(draft);
  overdue(draft);
  switch (draft.state) {
    case 'running':
      run(draft);
      break;
    case 'stopping':
      if (draft.total('out') === 0)
        draft.end(draft.progress.stopsAs ?? 'aborted', draft.progress.reason ?? { code: 'OPERATOR', text: 'stopped' });
      break;
    case 'turning-back':
      turnBack(draft);
      break;
    case 'succeeded':
      if (draft.progress.phase === 'following') follow(draft);
      break;
    default:
      break;
  }
  return draft.result();
}

/** Does the next judgement need figures of boards, and of which wave (null: of all)? */
export function needsFigures({ state, spec, progress }: Rollout, tallies: StepInput['tallies'], now: number): boolean {
  if (state !== 'running') return false;
  if (progress.phase === 'comparing') return now >= comparingEnds(spec, progress);
  if (progress.phase !== 'soaking' || spec.gates.length === 0 || progress.accepted) return false;
  const soaked = soakEnds(ruleOf({ spec, progress }), progress);
  const figures = figuresOf(tallies[progress.wave]);
  return soaked !== null && now >= soaked && figures.succeeded > 0;
}

function observeAll(draft: Draft): void {
  const { input, rollout, now } = draft;
  const limits = { ...rollout.spec, until: latestOffer(draft) };
  const seen: Record<string, unknown>[] = [];
  const recalled: string[] = [];
  for (const pair of input.touched) {
    const before = draft.current(pair);
    const found = observe(pair, targetOf(input.targets, before).release, limits, now);
    let after = found.member;
    const stops = draft.state === 'stopping' && after.out;
    if (stops) after = stopped(after, now);
    if (after.state !== before.state || after.code !== before.code) {
      const { reported } = pair.board ?? { reported: null };
      const answer = reported && {
        generation: reported.generation,
        phase: reported.phase,
        sequence: reported.sequence,
      };
      seen.push({ device: before.deviceId, from: before.state, to: after.state, code: after.code, answer });
    }
    if (found.recall || stops) {
      recall(draft, pair, after);
      recalled.push(before.deviceId);
    } else draft.set(pair, after);
  }
  if (seen.length > 0) draft.decide('observed', summary(seen), { devices: seen });
  if (recalled.length > 0)
    draft.decide('recalled', `told ${boards(recalled.length)} to stay with what they ran`, { devices: recalled });
}

function stopped(member: Member, now: number): Member {
  return { ...member, state: 'waiting', code: 'STOPPED', out: false, holdUntil: null, endedAt: now };
}

/** `3 succeeded, 1 failed (TRIAL_TOO_SLOW)`. */
function summary(seen: readonly Record<string, unknown>[]): string {
  const counts = new Map<string, number>();
  for (const { to, code } of seen) {
    const words = code === null ? String(to) : `${to} (${code})`;
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  return [...counts].map(([words, count]) => `${count} ${words}`).join(', ');
}

/** A rollout that is not done when its time is up ends with what it has. */
function overdue(draft: Draft): void {
  const { startedAt, spec } = draft.rollout;
  if (draft.state !== 'running' && draft.state !== 'paused') return;
  if (startedAt === null || draft.now < draft.dueAt(startedAt, spec.deadlineSeconds)) return;
  draft.state = 'stopping';
  draft.progress.stopsAs = 'expired';
  const counted = spec.windows.length === 0 ? '' : ', closed windows not counted';
  draft.progress.reason = { code: 'DEADLINE', text: `not done ${spec.deadlineSeconds} s after its start${counted}` };
  draft.decide('stopping', `${draft.progress.reason.text}: it ends`);
}

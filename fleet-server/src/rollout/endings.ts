import type { Draft } from './draft.js';
import { figuresOf, judgeWave, ruleOf } from './judge.js';
import { boards, offer, restore } from './tell.js';
import { available, join } from './waves.js';

/** Sends boards back to what they ran before, until all have proved it or the time for that is up. */
export function turnBack(draft: Draft): void {
  const { progress, rollout, input, now } = draft;
  const told = restore(draft);
  if (told > 0)
    draft.decide('restored', `told ${boards(told)} to go back`, {
      devices: draft.tellings.map(({ deviceId, generation }) => ({ device: deviceId, generation })),
    });
  const left = input.toTurnBack - input.candidates.length + draft.count('turning-back');
  const late = now >= (progress.turningBackSince ?? now) + rollout.spec.rollbackSeconds * 1000;
  if (left > 0 && !late) return;
  const inputs = { turnedBack: draft.count('turned-back'), kept: draft.count('kept'), outstanding: left };
  const cause = progress.reason ?? { code: 'OPERATOR' as const, text: 'turned back' };
  const rest = left === 0 ? '' : `; ${boards(left)} have not come back in time`;
  draft.end('turned-back', { code: cause.code, text: cause.text + rest }, inputs);
}

/** A finished rollout gives its release to boards that come to match, under the last wave's limit of errors. */
export function follow(draft: Draft): void {
  const { progress, rollout } = draft;
  join(draft);
  const rule = ruleOf({ spec: rollout.spec, progress });
  const figures = figuresOf(draft.tally(progress.wave));
  const verdict = judgeWave(rule, { ...figures, out: draft.total('out') }, draft.pending, false);
  if (verdict.kind === 'breach' || !available(draft)) {
    progress.phase = 'ended';
    const { code, text } =
      verdict.kind === 'breach'
        ? { code: verdict.reason.code, text: `${verdict.reason.text} after its end` }
        : { code: 'RELEASE_UNAVAILABLE' as const, text: 'the release was withdrawn or is not published' };
    draft.end('succeeded', { code, text: `${text}: it follows no more` }, { ...figures });
    return;
  }
  offer(draft);
}

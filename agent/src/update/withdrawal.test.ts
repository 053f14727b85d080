import type { ReleaseReference } from '@vigie/protocol';
import { expect, test } from 'vitest';
import { leaveWithdrawn, type WithdrawalDecision, type WithdrawalFacts } from './withdrawal.js';

const release = (version: string): ReleaseReference => ({ name: 'person', version, digest: version[0].repeat(64) });
const [A, B, C] = [release('1.0.0'), release('2.0.0'), release('3.0.0')];
const STAY: WithdrawalDecision = { kind: 'stay', code: null };
const BUT_NOT_BLIND: WithdrawalDecision = { kind: 'stay', code: 'RELEASE_WITHDRAWN' };

type Case = [what: string, facts: Partial<WithdrawalFacts>, gone: ReleaseReference[], decision: WithdrawalDecision];

const CASES: Case[] = [
  ['nothing was withdrawn', { active: A, desired: A, previous: B }, [], STAY],
  ['another release was withdrawn', { active: A, desired: A, previous: B }, [B], STAY],
  ['the bundled package runs', { active: null, desired: A, previous: B }, [A, B], STAY],
  ['told to run another one', { active: A, desired: B, previous: C }, [A], { kind: 'follow-desired', release: B }],
  ['told to stay as it is', { active: A, desired: null, previous: B }, [A], { kind: 'go-to-previous', release: B }],
  [
    'told to run what was withdrawn',
    { active: A, desired: A, previous: B },
    [A],
    { kind: 'go-to-previous', release: B },
  ],
  [
    'told another withdrawn one',
    { active: A, desired: C, previous: B },
    [A, C],
    { kind: 'go-to-previous', release: B },
  ],
  [
    'told one that failed here',
    { active: A, desired: C, previous: B, failed: new Set([C.digest]) },
    [A],
    { kind: 'go-to-previous', release: B },
  ],
  ['the previous one is gone too', { active: A, desired: A, previous: B }, [A, B], BUT_NOT_BLIND],
  [
    'the previous one failed here',
    { active: A, desired: A, previous: B, failed: new Set([B.digest]) },
    [A],
    BUT_NOT_BLIND,
  ],
  ['the previous one is the same', { active: A, desired: A, previous: A }, [A], BUT_NOT_BLIND],
  ['there is nothing else', { active: A, desired: A, previous: null }, [A], BUT_NOT_BLIND],
];

test.each(CASES)('%s', (_what, facts, gone, decision) => {
  const withdrawn = new Set(gone.map(({ digest }) => digest));
  const whole = { active: null, desired: null, previous: null, failed: new Set<string>(), ...facts, withdrawn };
  expect(leaveWithdrawn(whole)).toEqual(decision);
});

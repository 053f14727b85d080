import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { a, at, b, EVENTS, facts, run, wanted } from '../../test/machine-states.js';
import { ENDS } from './journal.js';
import { next, stateName } from './machine.js';
import { faultTable, machineTable } from './machine-document.js';
import { STATES, TABLE } from './machine-table.js';
import type { InstallEvent } from './machine-types.js';

describe('the table', () => {
  test('every state × event has a row that fits, or is refused with a RangeError', () => {
    let rows = 0;
    let refused = 0;
    for (const name of STATES) {
      for (const [kind, event] of Object.entries(EVENTS)) {
        const some = TABLE.some(({ from, on }) => on === kind && from.includes(name));
        if (some) {
          rows += 1;
          const { state, effects } = next(at(name), event, facts);
          const steps = effects.filter(({ do: what }) => !QUICK.has(what));
          expect(steps.length, `${name} × ${kind}`).toBe(
            ENDS.has(stateName(state) as never) ||
              stateName(state) === 'IDLE' ||
              effects.length === 0 ||
              kind === 'stopped'
              ? 0
              : 1,
          );
          if (steps.length === 1) expect(effects.at(-1)).toBe(steps[0]);
        } else {
          refused += 1;
          expect(() => next(at(name), event, facts), `${name} × ${kind}`).toThrow(RangeError);
        }
      }
    }
    expect(rows + refused).toBe(STATES.length * 10);
    expect(rows).toBeGreaterThan(80);
  });

  test('every row can be reached, and whatever follows is on the disk before it is acted upon', () => {
    for (const { effects, to, change } of TABLE) {
      if (change === 'none' && to === null) continue;
      expect(effects).toContain('persist');
      const persisted = effects.indexOf('persist');
      for (const early of effects.slice(0, persisted)) expect(early).toBe('abandon');
    }
    for (const { from, on, when } of TABLE) expect([from.length, on, when].every(Boolean)).toBe(true);
    // A condition after an `otherwise` would never be asked.
    const seen = new Set<string>();
    for (const { from, on, when } of TABLE) {
      for (const name of from) {
        expect(seen.has(`${name} ${on}`), `${name} ${on} ${when}`).toBe(false);
      }
      if (when === 'otherwise') for (const name of from) seen.add(`${name} ${on}`);
    }
  });

  test('only the good verdict of a trial changes what the board starts from', () => {
    for (const name of STATES) {
      for (const event of Object.values(EVENTS)) {
        if (name === 'TRIAL' && event.kind === 'judged') continue;
        if (!TABLE.some(({ from, on }) => on === event.kind && from.includes(name))) continue;
        expect(next(at(name), event, facts).state.active, `${name} × ${event.kind}`).toEqual(at(name).active);
      }
    }
    expect(run(at('TRIAL'), EVENTS.judged).state).toMatchObject({ active: b, previous: a });
  });

  test('stands in docs/updates.md as it is', () => {
    const text = readFileSync(new URL('../../../docs/updates.md', import.meta.url), 'utf8');
    expect(text).toContain(machineTable());
    expect(text).toContain(faultTable());
  });
});

const QUICK: ReadonlySet<string> = new Set(['abandon', 'persist', 'report', 'drain', 'collect', 'schedule', 'review']);

describe('an install', () => {
  test('goes its way from offer to commit, one step at a time', () => {
    let state = run(at('IDLE'), { kind: 'accepted', desired: wanted({ generation: 8 }) }).state;
    const way: string[] = [stateName(state)];
    for (let i = 0; i < 6; i += 1) {
      state = run(state, EVENTS.done).state;
      way.push(stateName(state));
    }
    expect(way).toEqual(['OFFERED', 'PREFLIGHT', 'DOWNLOADING', 'VERIFYING', 'STAGED', 'SELF_TEST', 'TRIAL']);
    const { state: end, does } = run(state, EVENTS.judged);
    expect(does).toEqual(['persist', 'drain', 'report', 'collect', 'review']);
    expect(end).toMatchObject({ active: b, previous: a, journal: { phase: 'COMMITTED', error: null } });
  });

  test('with a shadow run: report only, agreement enough, disagreement, heat', () => {
    const shadow = { seconds: 60, everyFrames: 5, outcome: 'report' as const, minAgreement: 0.5 };
    const agreement = (share: number) => ({
      ...{ frames: 50, candidateBoxes: 9, referenceBoxes: 9, matchedBoxes: 9, agreement: share },
      ...{ scoreDrift: 0, candidateP95Ms: 9, referenceP95Ms: 9 },
    });
    const looked = (share: number): InstallEvent => ({
      kind: 'looked',
      ended: 'time',
      agreement: agreement(share),
      message: '',
    });
    const only = { desired: wanted({ shadow }) };
    expect(run(at('SELF_TEST', only), EVENTS.done).name).toBe('SHADOW');
    const report = run(at('SHADOW', only), looked(0.2));
    expect(report.state.journal).toMatchObject({ phase: 'SHADOWED', error: null, agreement: { agreement: 0.2 } });
    expect(report.state.active).toEqual(a);
    const then = { desired: wanted({ shadow: { ...shadow, outcome: 'trial' as const } }) };
    expect(run(at('SHADOW', then), looked(0.6)).name).toBe('TRIAL');
    const bad = run(at('SHADOW', then), looked(0.4)).state;
    expect(bad.journal?.error?.code).toBe('SHADOW_DISAGREES');
    expect(bad.failed[b.digest]?.code).toBe('SHADOW_DISAGREES');
    expect(run(at('SHADOW', only), EVENTS.looked).name).toBe('INCONCLUSIVE');
  });

  test('planned as a stop-swap is neither tested beside the live model nor looked at in the shadow', () => {
    const plan = { mode: 'stop' as const, expectedGapMs: 1500 };
    expect(run(at('STAGED', {}, { plan }), EVENTS.done).does.at(-1)).toBe('stop-swap');
    const shadow = { seconds: 60, everyFrames: 5, outcome: 'report' as const, minAgreement: 0.5 };
    expect(run(at('SELF_TEST', { desired: wanted({ shadow }) }, { plan }), EVENTS.done).name).toBe('TRIAL');
  });
});

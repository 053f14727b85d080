import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { observeActivity } from './activity-observations.js';
import { fullJitter } from './backoff.js';
import { type AlertChange, decideAlerts, type Observation, type OpenAlert } from './decide.js';
import { type DeviceFacts, observeDevices } from './device-observations.js';
import { mailOf } from './mail.js';
import { dueNotice } from './notice.js';
import { isQuiet } from './quiet-time.js';
import { completeRule, FIRST_RULES } from './rule.js';
import { subscribes } from './subscription.js';

const now = new Date('2026-11-21T12:00:00Z');
const ago = (minutes: number) => new Date(now.getTime() - minutes * 60_000);

describe('decideAlerts', () => {
  const seen = (state: Observation['state'], since: Date | null = null): Observation => ({
    ...{ subject: 'b', state, since, text: state, detail: {} },
  });
  const decide = (minutes: number, open: OpenAlert[], observations: Observation[], complete = true) =>
    decideAlerts({ rule: { minutes }, open, observations, complete, now }).map(({ change }) => change);
  const raised: OpenAlert = { subject: 'b', state: 'raised', since: ago(60) };
  const pending = (minutes: number): OpenAlert => ({ subject: 'b', state: 'pending', since: ago(minutes) });

  it('raises once, after the time that the rule asks for', () => {
    expect(decide(0, [], [seen('firing')])).toEqual(['raise']);
    expect(decide(10, [], [seen('firing')])).toEqual(['pend']);
    expect(decide(10, [pending(9)], [seen('firing')])).toEqual([]);
    expect(decide(10, [pending(10)], [seen('firing')])).toEqual(['raise']);
    expect(decide(10, [], [seen('firing', ago(11))])).toEqual(['raise']);
    expect(decide(10, [raised], [seen('firing')])).toEqual([]);
  });

  it('clears what is over, and keeps what it cannot know', () => {
    expect(decide(10, [raised], [seen('fine')])).toEqual(['clear']);
    expect(decide(10, [pending(3)], [seen('fine')])).toEqual(['forget']);
    expect(decide(10, [raised], [seen('unknown')])).toEqual([]);
    expect(decide(10, [raised], [])).toEqual(['clear']);
    expect(decide(10, [raised], [], false)).toEqual([]);
  });

  it('never has two open alerts of one subject, whatever comes', () => {
    const states = fc.array(fc.constantFrom<Observation['state']>('firing', 'fine', 'unknown'), { maxLength: 40 });
    fc.assert(
      fc.property(states, fc.integer({ min: 0, max: 5 }), (sequence, minutes) => {
        let open: OpenAlert[] = [];
        let at = now.getTime();
        for (const state of sequence) {
          at += 60_000;
          const given = { rule: { minutes }, open, observations: [seen(state)], complete: true, now: new Date(at) };
          for (const change of decideAlerts(given)) open = apply(open, change);
          expect(open.length).toBeLessThanOrEqual(1);
          if (state === 'fine') expect(open).toEqual([]);
        }
      }),
    );
  });

  function apply(open: OpenAlert[], change: AlertChange): OpenAlert[] {
    if (!('since' in change)) {
      expect(open[0]?.state).toBe(change.change === 'clear' ? 'raised' : 'pending');
      return [];
    }
    expect(open[0]?.state).not.toBe('raised');
    return [{ subject: change.subject, state: change.change === 'raise' ? 'raised' : 'pending', since: change.since }];
  }
});

describe('observeDevices', () => {
  const device: DeviceFacts = {
    ...{ id: 'b', tags: ['roof'], hardwareClass: 'rpi5-8g', running: 'm@1.0.0', online: true, presenceAt: ago(1) },
    telemetry: { receivedAt: ago(1), fps: 12, diskFreeBytes: 100 * 1024 * 1024, temperatureC: null },
    ...{ error: null, usualFps: 20, drifting: null, certificateEndsAt: new Date('2026-12-01T00:00:00Z') },
  };
  const state = (
    kind: Parameters<typeof observeDevices>[0]['kind'],
    threshold: number | null,
    changes: Partial<DeviceFacts> = {},
  ) => observeDevices({ kind, selector: {}, threshold }, [{ ...device, ...changes }], now)[0]?.state;

  it('sees each kind, and says when it cannot know', () => {
    expect(state('device-lost', null)).toBe('fine');
    expect(state('device-lost', null, { online: false })).toBe('firing');
    expect(state('device-lost', null, { online: false, presenceAt: null })).toBe('unknown');
    expect([state('fps-low', 13), state('fps-low', 12)]).toEqual(['firing', 'fine']);
    expect([state('fps-drop', 0.3), state('fps-drop', 0.5), state('fps-drop', 0.3, { usualFps: null })]).toEqual([
      ...['firing', 'fine', 'unknown'],
    ]);
    expect([state('disk-low', 101), state('disk-low', 100)]).toEqual(['firing', 'fine']);
    expect(state('temperature-high', 80)).toBe('unknown');
    expect([state('certificate-expiry', 10), state('certificate-expiry', 9)]).toEqual(['firing', 'fine']);
    expect([state('drift', null), state('drift', null, { drifting: true })]).toEqual(['unknown', 'firing']);
    const stale = { ...device.telemetry, receivedAt: ago(11) } as DeviceFacts['telemetry'];
    expect(state('fps-low', 13, { telemetry: stale })).toBe('unknown');
  });

  it('looks only where the selector points', () => {
    const rule = { kind: 'fps-low', threshold: 99 } as const;
    expect(observeDevices({ ...rule, selector: { tags: ['cellar'] } }, [device], now)).toEqual([]);
    expect(observeDevices({ ...rule, selector: { tags: ['roof'] } }, [device], now)).toHaveLength(1);
  });
});

describe('dueNotice', () => {
  const rule = { quiet: null, repeatMinutes: null };
  const alert = {
    state: 'raised',
    acknowledgedAt: null,
    notices: 0,
    lastNoticeAt: null,
    clearedNoticed: false,
  } as const;

  it('tells of the beginning once, repeats until somebody has it, and tells of the end', () => {
    expect(dueNotice(alert, rule, now)).toBe('raised');
    const told = { ...alert, notices: 1, lastNoticeAt: ago(30) };
    expect(dueNotice(told, rule, now)).toBeNull();
    expect(dueNotice(told, { ...rule, repeatMinutes: 30 }, now)).toBe('repeated');
    expect(dueNotice({ ...told, acknowledgedAt: now }, { ...rule, repeatMinutes: 30 }, now)).toBeNull();
    expect(dueNotice({ ...told, state: 'cleared' }, rule, now)).toBe('cleared');
    expect(dueNotice({ ...told, state: 'cleared', clearedNoticed: true }, rule, now)).toBeNull();
    expect(dueNotice({ ...alert, state: 'cleared' }, rule, now)).toBeNull();
  });

  it('holds back in quiet time', () => {
    const quiet = { from: '11:00', to: '13:00', timeZone: 'UTC' };
    expect(dueNotice(alert, { ...rule, quiet }, now)).toBeNull();
  });
});

describe('isQuiet', () => {
  const night = { from: '22:00', to: '07:00', timeZone: 'Europe/Paris' };

  it('goes over midnight by the clock of its zone', () => {
    expect(isQuiet(night, new Date('2026-11-21T20:59:00Z'))).toBe(false);
    expect(isQuiet(night, new Date('2026-11-21T21:00:00Z'))).toBe(true);
    expect(isQuiet(night, new Date('2026-11-22T05:59:00Z'))).toBe(true);
    expect(isQuiet(night, new Date('2026-11-22T06:00:00Z'))).toBe(false);
    // In summer the same clock is an hour earlier in UTC.
    expect(isQuiet(night, new Date('2026-07-21T20:00:00Z'))).toBe(true);
  });

  it('belongs to the day on which it began', () => {
    const friday = { ...night, days: [5] };
    expect(isQuiet(friday, new Date('2026-11-20T23:00:00Z'))).toBe(true);
    expect(isQuiet(friday, new Date('2026-11-21T05:00:00Z'))).toBe(true);
    expect(isQuiet(friday, new Date('2026-11-21T23:00:00Z'))).toBe(false);
  });
});

describe('small parts', () => {
  it('fills defaults of the first rules', () => {
    for (const input of Object.values(FIRST_RULES)) expect(completeRule(input)).toMatchObject({ ok: true });
  });

  it('waits a random part of a bound that doubles up to a cap', () => {
    const backoff = { baseMs: 1000, capMs: 60_000 };
    expect([1, 2, 3, 7, 100].map((attempts) => fullJitter(backoff, attempts, 1))).toEqual([
      ...[1000, 2000, 4000, 60_000, 60_000],
    ]);
    expect(fullJitter(backoff, 5, 0)).toBe(0);
  });

  it('subscribes to kinds, groups and everything', () => {
    expect(subscribes(['rollout.*'], 'rollout.ended')).toBe(true);
    expect(subscribes(['rollout.*'], 'release.uploaded')).toBe(false);
    expect(subscribes(['drift.found'], 'drift.found')).toBe(true);
    expect(subscribes(['*'], 'anything.at-all')).toBe(true);
  });

  it('reads gates and rollouts from the activity log', () => {
    const of = (kind: string, body: Record<string, unknown>) => observeActivity({ kind, subject: 's', body });
    const fail = { policy: 'edge', verdict: 'fail', why: ['fps 4.8 < 10'] };
    expect(of('gate.judged', fail)?.observation).toMatchObject({
      ...{ subject: 's/edge', state: 'firing', text: 'gate edge of s: fail: fps 4.8 < 10' },
    });
    expect(of('gate.judged', { policy: 'edge', verdict: 'pass' })?.observation.state).toBe('fine');
    expect(of('gate.overridden', { state: 'rejected', reason: 'no' })).toBeNull();
    expect(of('gate.overridden', { state: 'approved', reason: 'demo' })).toMatchObject({
      ...{ of: 's/', observation: { state: 'fine', text: 'gates of s: overridden: demo' } },
    });
    const reason = { code: 'OPERATOR', text: 'paused by ann: lunch' };
    expect(of('rollout.changed', { to: 'paused', reason })?.observation).toMatchObject({
      ...{ state: 'firing', text: 'rollout s: paused: paused by ann: lunch' },
    });
    expect(of('rollout.changed', { to: 'running', reason: null })?.observation.state).toBe('fine');
    expect(of('device.online', {})).toBeNull();
  });

  it('keeps a mail’s subject on one line', () => {
    const alerts = [{ subject: 'b', text: 'b\r\nBcc: everybody@example.org', raisedAt: '' }];
    const { subject } = mailOf('alert.raised', { rule: { name: 'r', severity: 'info' }, count: 1, alerts });
    expect(subject).not.toMatch(/[\r\n]/);
  });
});

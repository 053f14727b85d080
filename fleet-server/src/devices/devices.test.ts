import { type Desired, INSTALL_PHASES, type Reported } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import { nextDesired } from './desired.js';
import { isInSync } from './device-view.js';
import { acceptsReport, applyPresence, type BootHistory } from './ordering.js';

const release = { name: 'm', version: '1.0.0', digest: 'a'.repeat(64) };
const fresh: BootHistory = { bootId: null, pastBoots: [], online: false };

describe('applyPresence', () => {
  const birth = (bootId: string) => ({ bootId, online: true });
  const will = (bootId: string) => ({ bootId, online: false });
  const after = (...messages: { bootId: string; online: boolean }[]) =>
    messages.reduce<BootHistory>((history, message) => applyPresence(history, message) ?? history, fresh);

  it('follows births and the current boot’s will', () => {
    expect(after(birth('a'))).toEqual({ bootId: 'a', pastBoots: [], online: true });
    expect(after(birth('a'), will('a'))).toEqual({ bootId: 'a', pastBoots: [], online: false });
    expect(after(birth('a'), will('a'), birth('a')).online).toBe(true);
    expect(after(birth('a'), birth('b'))).toEqual({ bootId: 'b', pastBoots: ['a'], online: true });
  });

  it('ignores late messages of a superseded boot, and wills of unknown ones', () => {
    expect(after(birth('a'), birth('b'), will('a'))).toEqual(after(birth('a'), birth('b')));
    expect(after(birth('a'), birth('b'), birth('a'))).toEqual(after(birth('a'), birth('b')));
    expect(applyPresence(fresh, will('x'))).toBeNull();
    expect(applyPresence(after(birth('a')), will('x'))).toBeNull();
  });

  it('remembers a bounded number of boots', () => {
    const history = after(...Array.from({ length: 100 }, (_, index) => birth(`boot-${index}`)));
    expect(history.bootId).toBe('boot-99');
    expect(history.pastBoots).toHaveLength(32);
    expect(history.pastBoots.at(-1)).toBe('boot-98');
  });
});

describe('acceptsReport', () => {
  const current: BootHistory = { bootId: 'b', pastBoots: ['a'], online: true };

  it('lets the newest of the current boot win', () => {
    expect(acceptsReport(current, null, { bootId: 'b', sequence: 1 })).toBe(true);
    expect(acceptsReport(current, { bootId: 'b', sequence: 4 }, { bootId: 'b', sequence: 5 })).toBe(true);
    expect(acceptsReport(current, { bootId: 'b', sequence: 4 }, { bootId: 'b', sequence: 4 })).toBe(false);
    expect(acceptsReport(current, { bootId: 'a', sequence: 900 }, { bootId: 'b', sequence: 1 })).toBe(true);
  });

  it('never lets an earlier boot’s outbox overwrite the current boot', () => {
    expect(acceptsReport(current, { bootId: 'b', sequence: 4 }, { bootId: 'a', sequence: 900 })).toBe(false);
    expect(acceptsReport(current, { bootId: 'b', sequence: 4 }, { bootId: 'never-seen', sequence: 900 })).toBe(false);
  });
});

describe('nextDesired', () => {
  it('is one generation up and holds only what was asked for', () => {
    const at = new Date('2026-11-21T07:00:00.000Z');
    expect(nextDesired('board-1', 4, { release }, at)).toEqual({
      deviceId: 'board-1',
      generation: 5,
      issuedAt: '2026-11-21T07:00:00.000Z',
      release,
    });
    expect(nextDesired('board-1', 0, { release, retry: true, trial: { minFrames: 3 } }, at)).toMatchObject({
      generation: 1,
      retry: true,
      trial: { minFrames: 3 },
    });
    expect(() => nextDesired('board-1', -1, { release }, at)).toThrow(RangeError);
  });
});

describe('isInSync', () => {
  const desired = { generation: 7, release } as Desired;
  const other = { ...release, digest: 'b'.repeat(64) };
  const active = { release, framesRun: 1, since: '' };
  const proof = { bootId: 'b', generation: 7, phase: 'COMMITTED', active } as Reported;
  const after = (changes: Partial<Reported>, wanted: Desired | null = desired) =>
    isInSync({ bootId: 'b', desired: wanted, reported: { ...proof, ...changes } });

  it('wants frames run by the very digest', () => {
    expect(after({})).toBe(true);
    expect(after({ phase: 'IDLE' })).toBe(true);
    expect(after({ active: { ...active, framesRun: 0 } })).toBe(false);
    expect(after({ active: { ...active, release: other } })).toBe(false);
    expect(after({ active: null })).toBe(false);
    expect(isInSync({ bootId: 'b', desired, reported: null })).toBe(false);
  });

  it('wants something to be wanted', () => {
    expect(after({}, null)).toBe(false);
    expect(after({}, { ...desired, release: null })).toBe(false);
  });

  it.each(INSTALL_PHASES.filter((phase) => phase !== 'COMMITTED'))('counts nothing while in %s', (phase) => {
    expect(after({ phase })).toBe(false);
  });

  it('wants an answer to this desired state, not to the one before that named the same release', () => {
    expect(after({ generation: 6 })).toBe(false);
    expect(after({ generation: 8 })).toBe(true);
  });

  it('takes no proof of a start that is over', () => {
    expect(after({ bootId: 'a' })).toBe(false);
    expect(isInSync({ bootId: null, desired, reported: proof })).toBe(false);
  });

  // eclipse-hawkbit/hawkbit#3185: success as soon as the image was on the disk, and still after a fall back to the old slot.
  it('does not say so while the old model runs: written but not live, live then turned back, committed then lost at a restart', () => {
    const old = { release: other, framesRun: 90_000, since: '' };
    for (const phase of ['STAGED', 'SELF_TEST', 'SHADOW'] as const) expect(after({ phase, active: old })).toBe(false);
    expect(after({ phase: 'TRIAL', active: { ...active, framesRun: 40 } })).toBe(false);
    expect(after({ phase: 'ROLLED_BACK', active: old })).toBe(false);
    // The next start finds the new slot damaged and runs the previous one; its journal still says COMMITTED.
    const restarted = { ...proof, bootId: 'c', active: old };
    expect(isInSync({ bootId: 'c', desired, reported: proof })).toBe(false);
    expect(isInSync({ bootId: 'c', desired, reported: restarted })).toBe(false);
  });
});

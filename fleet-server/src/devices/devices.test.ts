import type { Desired, Reported } from '@vigie/protocol';
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
  const desired = { generation: 1, release } as Desired;
  const running = (digest: string, framesRun: number) =>
    ({ active: { release: { ...release, digest }, framesRun, since: '' } }) as Reported;

  it('wants the digest active and frames run', () => {
    expect(isInSync(desired, running(release.digest, 1))).toBe(true);
    expect(isInSync(desired, running(release.digest, 0))).toBe(false);
    expect(isInSync(desired, { ...running(release.digest, 9), phase: 'TRIAL' })).toBe(false);
    expect(isInSync(desired, running('b'.repeat(64), 9))).toBe(false);
    expect(isInSync(desired, null)).toBe(false);
    expect(isInSync(null, running(release.digest, 1))).toBe(false);
    expect(isInSync({ ...desired, release: null }, running(release.digest, 1))).toBe(false);
  });
});

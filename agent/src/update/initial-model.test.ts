import type { ReleaseReference } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import type { Clock, Detector, DetectorFactory, LiveDetector } from '../ports.js';
import { type InitialModelOptions, startInitialModel, stateAfterStart } from './initial-model.js';
import { EMPTY_STATE } from './journal.js';
import type { StoredPackage } from './ports.js';

const release = (letter: string): ReleaseReference => ({
  ...{ name: 'model', version: '1.0.0' },
  digest: letter.repeat(64),
});

const stored = (letter: string): StoredPackage =>
  ({
    directory: `/${letter}`,
    open: { digest: letter.repeat(64), manifest: release(letter) },
  }) as unknown as StoredPackage;

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const BUNDLED = stored('b');

/** Which package a board starts with. `broken`: folders whose model does not load. */
async function start(
  state: Partial<typeof EMPTY_STATE>,
  { broken = [], found = 'valid' }: { broken?: string[]; found?: 'valid' | 'damaged' } = {},
): Promise<StoredPackage | null> {
  const live = { turnTo: async () => ({}), commit: async () => {} } as unknown as LiveDetector;
  const factory = {
    spawn: async (directory: string) => {
      if (broken.includes(directory)) throw new Error('does not load');
      return {} as Detector;
    },
  } as DetectorFactory;
  const options: InitialModelOptions = {
    loaded: { state: { ...EMPTY_STATE, ...state }, found },
    slots: { open: async (digest) => stored(digest[0]), digests: async () => ['c'.repeat(64)] },
    ...{ bundled: BUNDLED, live, factory, log: silent },
    clock: { now: () => 0 } as Clock,
  };
  return (await startInitialModel(options))?.stored ?? null;
}

describe('the model a board wakes up on', () => {
  it('is that of the active slot, else the previous one, else the bundled one', async () => {
    const slots = { active: release('a'), previous: release('p') };
    expect((await start(slots))?.directory).toBe('/a');
    expect((await start(slots, { broken: ['/a'] }))?.directory).toBe('/p');
    expect(await start(slots, { broken: ['/a', '/p'] })).toBe(BUNDLED);
  });

  it('is the bundled one when that is the active one, and not the way back from it', async () => {
    const state = { active: null, previous: release('p') };
    expect(await start(state)).toBe(BUNDLED);
    expect((await start(state, { broken: [BUNDLED.directory] }))?.directory).toBe('/p');
    expect(stateAfterStart({ ...EMPTY_STATE, ...state }, BUNDLED, BUNDLED)).toMatchObject(state);
  });

  it('is any verified one where the state was lost', async () => {
    expect((await start({}, { found: 'damaged' }))?.directory).toBe('/c');
  });
});

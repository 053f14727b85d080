import { deviceTopic } from '@vigie/protocol';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PresenceCheck } from './presence-check.js';

const START = new Date('2026-11-21T12:00:00Z');

function checkOf(isAlone: boolean, fails = false) {
  const said: unknown[] = [];
  const check = new PresenceCheck(
    async () => void said.push('all offline'),
    async (heard, before) => {
      if (fails) throw new Error('the database is away');
      said.push({ heard: [...heard], before: before.toISOString() });
    },
    () => isAlone,
    () => new Date(),
    (error) => said.push(error.message),
  );
  const stored: string[] = [];
  const handler = check.watching((deviceId, topic) => {
    stored.push(topic);
    return Promise.resolve(deviceId as never);
  });
  const hear = (id: string, kind: 'presence' | 'telemetry') => handler(id, deviceTopic(id, kind), Buffer.from('{}'));
  return { check, said, stored, hear };
}

describe('who is online after a new connection to the broker', () => {
  beforeEach(() => vi.useFakeTimers({ now: START }));
  afterEach(() => vi.useRealTimers());
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

  it('a server alone forgets at once', async () => {
    const { check, said, hear } = checkOf(true);
    await check.onConnect();
    expect(said).toEqual(['all offline']);
    hear('a', 'presence');
    await pass(120_000);
    expect(said).toEqual(['all offline']);
  });

  it('beside other replicas it listens first: who was not named by the broker is offline then', async () => {
    const { check, said, stored, hear } = checkOf(false);
    hear('early', 'presence');
    await check.onConnect();
    hear('a', 'presence');
    hear('b', 'telemetry');
    await pass(59_999);
    expect(said).toEqual([]);
    hear('c', 'presence');
    await pass(1);
    expect(said).toEqual([{ heard: ['a', 'c'], before: START.toISOString() }]);
    // Everything goes on to where it is stored.
    expect(stored).toHaveLength(4);
    await pass(120_000);
    expect(said).toHaveLength(1);
  });

  it('begins anew with the next connection, and ends with the server', async () => {
    const { check, said, hear } = checkOf(false);
    await check.onConnect();
    hear('a', 'presence');
    await pass(30_000);
    await check.onConnect();
    hear('b', 'presence');
    await pass(60_000);
    expect(said).toEqual([{ heard: ['b'], before: new Date(START.getTime() + 30_000).toISOString() }]);
    await check.onConnect();
    check.stop();
    await pass(120_000);
    expect(said).toHaveLength(1);
  });

  it('tells of a database that is away', async () => {
    const { check, said } = checkOf(false, true);
    await check.onConnect();
    await pass(60_000);
    expect(said).toEqual(['the database is away']);
  });
});

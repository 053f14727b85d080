import { expect, it } from 'vitest';
import type { Credential } from '../roles.js';
import { RememberedCredentials } from './remembered-credentials.js';

function remembered() {
  const state = { clock: 0, now: 0, searches: 0, live: true, expiresAt: null as Date | null };
  const find = async (secret: string): Promise<Credential | null> => {
    state.searches += 1;
    const { live, expiresAt } = state;
    await null;
    const actor = { name: 'ci', role: 'ci', person: 'ci' } as const;
    return live ? { kind: 'token', id: `token:${secret}`, actor, expiresAt, secret } : null;
  };
  const credentials = new RememberedCredentials(
    find,
    () => new Date(state.now),
    () => state.clock,
  );
  return { state, credentials };
}

it('looks a token up once a second', async () => {
  const { state, credentials } = remembered();
  for (const clock of [0, 500, 999]) {
    state.clock = clock;
    expect((await credentials.get('a'))?.id).toBe('token:a');
  }
  expect(state.searches).toBe(1);
  expect((await credentials.get('b'))?.id).toBe('token:b');
  state.clock = 1000;
  await credentials.get('a');
  expect(state.searches).toBe(3);
});

it('knows at once that a token ended, also one that was being looked up', async () => {
  const { state, credentials } = remembered();
  await credentials.get('a');
  state.live = false;
  credentials.forget();
  expect(await credentials.get('a')).toBeNull();
  state.live = true;
  const search = credentials.get('a');
  state.live = false;
  credentials.forget();
  expect(await search).not.toBeNull();
  expect(await credentials.get('a')).toBeNull();
});

it('does not believe a token beyond its end, and remembers none that does not count', async () => {
  const { state, credentials } = remembered();
  state.expiresAt = new Date(100);
  expect(await credentials.get('a')).not.toBeNull();
  state.now = 100;
  state.live = false;
  expect(await credentials.get('a')).toBeNull();
  state.live = true;
  state.expiresAt = null;
  expect(await credentials.get('a')).not.toBeNull();
});

import type { PublishedRelease } from '../rig/publish.js';

/** What is looked at of a rollout. */
export interface RolloutView {
  state: string;
  reason: object | null;
}

/** Canary, half, all; as fast as the boards go. */
export function wantedRollout({ name, version }: PublishedRelease, devices: number): object {
  const canary = Math.max(1, Math.floor(devices / 100));
  return {
    release: { name, version },
    selector: {},
    waves: [
      { name: 'canary', size: { count: canary }, soakSeconds: 5 },
      { name: 'half', size: { share: 0.5 }, soakSeconds: 0 },
      { name: 'all', size: { share: 1 }, soakSeconds: 0 },
    ],
    concurrency: Math.max(50, Math.ceil(devices / 10)),
    answerSeconds: 600,
    follow: false,
  };
}

/** The release as boards name it. */
export function referenceOf({ name, version, digest }: PublishedRelease): {
  name: string;
  version: string;
  digest: string;
} {
  return { name, version, digest };
}

/** What people and their pages ask while a fleet works: name → path. `rollout`: number of the newest one, if there is one. */
export function questions(ids: readonly string[], rollout: () => number | null): Record<string, () => string> {
  const some = () => ids[Math.floor(Math.random() * ids.length)];
  return {
    devices: () => '/devices?limit=100',
    middle: () => `/devices?limit=100&prefix=${some().slice(0, -2)}`,
    filtered: () => '/devices?limit=100&class=generic-x64&online=true&inSync=true',
    counts: () => '/devices/counts',
    device: () => `/devices/${some()}`,
    rollouts: () => '/rollouts',
    rollout: () => (rollout() === null ? '/rollouts?limit=1' : `/rollouts/${rollout()}`),
    releases: () => '/releases',
    events: () => `/events?device=${some()}&limit=50`,
  };
}

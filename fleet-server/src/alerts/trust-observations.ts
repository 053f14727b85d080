import type { Observation } from './decide.js';

/** Something of the server's own that ends. */
export interface TrustFact {
  /** `tuf/root`, `pki/authority`, `pki/server`. */
  name: string;
  endsAt: Date;
}

const DAY_MS = 86_400_000;

export function observeTrust(facts: readonly TrustFact[], thresholdDays: number, now: Date): Observation[] {
  return facts.map(({ name, endsAt }) => ({
    ...{ subject: name, since: null, detail: { endsAt: endsAt.toISOString() } },
    state: endsAt.getTime() - now.getTime() < thresholdDays * DAY_MS ? 'firing' : 'fine',
    text: `${name} ends at ${endsAt.toISOString()}`,
  }));
}

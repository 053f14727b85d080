import type { Observation } from './decide.js';

/** Something of the server's own that ends. */
export interface TrustFact {
  /** `tuf/root`, `pki/authority`, `pki/server`. */
  name: string;
  endsAt: Date;
  /** Of what is signed for so long at a time, ms; null: it is as long-lived as it is. */
  lifetimeMs: number | null;
}

const DAY_MS = 86_400_000;

/**
 * What the server signs anew at half of its life is in order while more than a third of it is left, however short it is: a
 * timestamp lives for a day.
 */
export function observeTrust(facts: readonly TrustFact[], thresholdDays: number, now: Date): Observation[] {
  return facts.map(({ name, endsAt, lifetimeMs }) => ({
    ...{ subject: name, since: null, detail: { endsAt: endsAt.toISOString() } },
    state:
      endsAt.getTime() - now.getTime() < Math.min(thresholdDays * DAY_MS, (lifetimeMs ?? Number.POSITIVE_INFINITY) / 3)
        ? 'firing'
        : 'fine',
    text: `${name} ends at ${endsAt.toISOString()}`,
  }));
}

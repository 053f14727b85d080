import { ANY_HARDWARE_CLASS, type GateVerdict } from '@vigie/protocol';

/** A policy's verdict as it is stored. */
export interface StoredVerdict {
  id: number;
  verdict: GateVerdict;
}

/** A hardware class that may be certified. */
export interface Grant {
  hardwareClass: string;
  /** Policies that passed, joined by commas, as a certificate holds it. */
  policy: string;
  measured: Record<string, number>;
  verdicts: number[];
}

/** What a certificate's field `policy` holds. */
const MOST_CHARACTERS = 64;

/**
 * The classes that verdicts of all policies which judge a release let through. A class is certified when every policy that
 * names it passes it: a further policy makes a gate narrower, never wider. `*` contains every class, so it is certified only
 * when nothing anywhere failed to pass.
 */
export function grantsOf(verdicts: readonly StoredVerdict[]): Grant[] {
  const classes = new Map<
    string,
    { passed: boolean; policies: string[]; measured: Record<string, number>; ids: number[] }
  >();
  for (const { id, verdict } of verdicts) {
    for (const { hardwareClasses, verdict: judged, measured } of verdict.classes) {
      for (const name of hardwareClasses) {
        const one = classes.get(name) ?? { passed: true, policies: [], measured: {}, ids: [] };
        one.passed &&= judged === 'pass';
        one.policies.push(verdict.policy);
        Object.assign(one.measured, measured);
        one.ids.push(id);
        classes.set(name, one);
      }
    }
  }
  const everything = [...classes.values()].every(({ passed }) => passed);
  return [...classes]
    .filter(([name, { passed }]) => passed && (name !== ANY_HARDWARE_CLASS || everything))
    .map(([hardwareClass, { policies, measured, ids }]) => ({
      hardwareClass,
      policy: [...new Set(policies)].sort().join(',').slice(0, MOST_CHARACTERS),
      measured,
      verdicts: ids,
    }))
    .sort((a, b) => (a.hardwareClass < b.hardwareClass ? -1 : 1));
}

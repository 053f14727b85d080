/** Life of a release (docs/design.md, section 3). */
export const RELEASE_STATES = ['candidate', 'benchmarked', 'approved', 'released', 'withdrawn'] as const;
export type ReleaseState = (typeof RELEASE_STATES)[number];

const NEXT: Record<ReleaseState, readonly ReleaseState[]> = {
  candidate: ['benchmarked', 'withdrawn'],
  benchmarked: ['approved', 'withdrawn'],
  approved: ['released', 'withdrawn'],
  released: ['withdrawn'],
  withdrawn: [],
};

export type Transition =
  | { ok: true; state: ReleaseState }
  | { ok: false; code: 'RELEASE_STATE_FORBIDDEN'; detail: string };

/** One step of a release's life; withdrawing a withdrawn release is nothing (the request is idempotent). */
export function transition(from: ReleaseState, to: ReleaseState): Transition {
  if (from === to && to === 'withdrawn') return { ok: true, state: to };
  if (NEXT[from].includes(to)) return { ok: true, state: to };
  const allowed = NEXT[from].length === 0 ? 'nothing' : NEXT[from].join(' or ');
  return { ok: false, code: 'RELEASE_STATE_FORBIDDEN', detail: `a ${from} release may become ${allowed}, not ${to}` };
}

/** A policy that takes a fresh candidate forward, and the name under which it answers for that. */
export interface ReleasePolicy {
  readonly name: string;
  readonly path: readonly ReleaseState[];
}

/** Where the configuration asks for no gates, a checked upload is released at once, and the release says by whom. */
export const DEFAULT_POLICY: ReleasePolicy = { name: 'default-policy', path: ['benchmarked', 'approved', 'released'] };

/** Nothing is let through but by gates that judge benchmark results (docs/gates.md). The configuration's default. */
export const GATES_POLICY: ReleasePolicy = { name: 'gates', path: [] };

/** By the name that the configuration gives it (`registry.policy`). */
export const RELEASE_POLICIES = { default: DEFAULT_POLICY, gates: GATES_POLICY } as const;

/** States that a release may be taken forward to; withdrawal is a decision of its own. */
export const ADVANCES = ['benchmarked', 'approved', 'released'] as const;
export type Advance = (typeof ADVANCES)[number];

/**
 * States from which a release may be taken to `to`. Steps may be passed over: an override approves what was never measured,
 * and two benchmark results may arrive in any order. It never goes back.
 */
export function statesBefore(to: Advance): ReleaseState[] {
  return RELEASE_STATES.slice(0, RELEASE_STATES.indexOf(to));
}

const LACKS: Record<Exclude<ReleaseState, 'released'>, string> = {
  candidate: 'a candidate that nothing has measured yet',
  benchmarked: 'measured, and no gate has certified it',
  approved: 'certified, and nobody has released it yet',
  withdrawn: 'withdrawn',
};

/** Why boards may not have it, and what to do; null: they may. `wanted`: such as `assigned`. */
export function notReleased(
  { name, version, state }: { name: string; version: string; state: ReleaseState },
  wanted: string,
): string | null {
  if (state === 'released') return null;
  const label = `${name}@${version}`;
  const way = state === 'withdrawn' ? 'upload another version' : `see: vigie gate needs ${label}`;
  return `${label} is ${LACKS[state]}; only a released one can be ${wanted}; ${way}`;
}

/** State of a new release after its policy; `certifiedBy` is set only when the policy let it through to `released`. */
export function admit(policy: ReleasePolicy): { state: ReleaseState; certifiedBy: string | null } {
  let state: ReleaseState = 'candidate';
  for (const next of policy.path) {
    const step = transition(state, next);
    if (!step.ok) throw new RangeError(`policy ${policy.name}: ${step.detail}`);
    state = step.state;
  }
  return { state, certifiedBy: state === 'released' ? policy.name : null };
}

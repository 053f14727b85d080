/** `waiting`: for a second person. */
export const OVERRIDE_STATES = ['waiting', 'approved', 'rejected'] as const;
export type OverrideState = (typeof OVERRIDE_STATES)[number];

/** A certificate says who let it through. */
export function overridePolicy(id: number): string {
  return `override-${id}`;
}

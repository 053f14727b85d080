import type { Core, Feature } from './feature-wiring.js';

/** Users, sessions, tokens and the audit log. */
export function wireAccess(_core: Core): Feature {
  return {};
}

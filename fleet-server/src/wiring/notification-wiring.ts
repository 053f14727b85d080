import type { Core, Feature } from './feature-wiring.js';

/** Alerts, webhooks, metrics. */
export function wireNotifications(_core: Core): Feature {
  return {};
}

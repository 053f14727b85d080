import { deviceRoutes } from '../routes/device-routes.js';
import type { Core, Feature } from './feature-wiring.js';

/** Boards: what they are, what they run, what they saw. */
export function wireDevices({ devices, received, pictures, revocations, assignments }: Core): Feature {
  return { routes: (app) => deviceRoutes(app, { devices, received, pictures, revocations, assignments }) };
}

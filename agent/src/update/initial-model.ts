import type { ReleaseReference } from '@vigie/protocol';
import type { Clock, DetectorFactory, LiveDetector } from '../ports.js';
import type { InstallState } from './journal.js';
import type { Log, PackageStore, StoredPackage } from './ports.js';

export interface InitialModelOptions {
  /** `damaged`: the state on the disk could not be read, and `state` is empty. */
  loaded: { state: InstallState; found: 'none' | 'valid' | 'damaged' };
  slots: Pick<PackageStore, 'open' | 'digests'>;
  /** The package that came with the agent, verified. */
  bundled: StoredPackage | null;
  live: LiveDetector;
  factory: DetectorFactory;
  clock: Clock;
  log: Log;
}

/**
 * Makes the board see, before anything else: the model of the best slot, from there down. A package that does not verify or
 * does not load is passed over. Only where the state itself was lost any verified package will do: which of them was the
 * active one nobody knows then. Null: there was none.
 */
export async function startInitialModel(
  options: InitialModelOptions,
): Promise<{ stored: StoredPackage; loadMs: number } | null> {
  const { loaded, slots, bundled, live, factory, clock, log } = options;
  const { active, previous } = loaded.state;
  const inSlots = [active, previous].filter((slot) => slot !== null).map(({ digest }) => digest);
  if (loaded.found === 'damaged') inSlots.push(...(await slots.digests()));
  const fromSlots = inSlots.map((digest) => () => slots.open(digest));
  const fromAgent = async () => bundled;
  // Without an active slot the bundled package is the active one, and the previous slot only the way back from it.
  const bundledFirst = active === null && loaded.found !== 'damaged';
  for (const open of bundledFirst ? [fromAgent, ...fromSlots] : [...fromSlots, fromAgent]) {
    const stored = await open();
    if (stored === null) continue;
    try {
      const begunAt = clock.now();
      const detector = await factory.spawn(stored.directory, 'live', stored.open);
      // Nothing runs yet, so nothing is on trial: the pointer is turned for good, before any frame came.
      live.turnTo(detector, stored.directory, 0).catch(() => {});
      await live.commit();
      log.info({ digest: stored.open.digest, version: stored.open.manifest.version }, 'initial model started');
      return { stored, loadMs: clock.now() - begunAt };
    } catch (error) {
      log.error({ directory: stored.directory, err: (error as Error).message }, 'a model could not be started');
    }
  }
  log.warn({}, 'no model to start; waiting for a release');
  return null;
}

export function referenceOf({ open }: StoredPackage): ReleaseReference {
  return { name: open.manifest.name, version: open.manifest.version, digest: open.digest };
}

/** The slots as they are in truth: what was passed over at the start is no way back. */
export function stateAfterStart(
  state: InstallState,
  started: StoredPackage | null,
  bundled: StoredPackage | null,
): InstallState {
  if (started !== null && started === bundled && state.active === null) return state;
  if (started === null || started === bundled) return { ...state, active: null, previous: null };
  if (state.active?.digest === started.open.digest) return state;
  return { ...state, active: referenceOf(started), previous: null };
}

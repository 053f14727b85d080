import type { DeviceConfiguration } from '@vigie/protocol';
import { type Groups, type SelectableDevice, selects } from './selector.js';

/** The newest version for each target that has a configuration. */
export interface WantedConfigurations {
  fleet: DeviceConfiguration | null;
  /** By group; those that count first come first. */
  groups: readonly { name: string; configuration: DeviceConfiguration }[];
  devices: ReadonlyMap<string, DeviceConfiguration>;
}

/** What this board shall look for: its own configuration, else that of its first group, else the fleet's. Never a mix of two. */
export function effectiveConfiguration(
  device: SelectableDevice,
  { fleet, groups, devices }: WantedConfigurations,
  selectors: Groups,
): DeviceConfiguration | null {
  const own = devices.get(device.id);
  if (own !== undefined) return own;
  const group = groups.find(({ name }) => {
    const selector = selectors.get(name);
    return selector !== undefined && selects(selector, device);
  });
  return group?.configuration ?? fleet;
}

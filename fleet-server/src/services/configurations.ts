import { configurationDigest, configurationProblem, type DeviceConfiguration } from '@vigie/protocol';
import { effectiveConfiguration } from '../devices/effective-configuration.js';
import type {
  ConfigurationChange,
  ConfigurationRecord,
  ConfigurationRepository,
} from '../io/database/configuration-repository.js';
import type { DeviceRepository } from '../io/database/device-repository.js';
import type { GroupRepository } from '../io/database/group-repository.js';
import type { ConfigurationScope } from '../io/database/schema/devices.js';
import type { Now } from '../ports.js';
import { Serial } from './serial.js';

export type ConfigurationResult =
  | { ok: true; record: ConfigurationRecord; told: number }
  | { ok: false; code: 'DEVICE_UNKNOWN' | 'GROUP_UNKNOWN' | 'CONFIGURATION_INVALID'; detail: string; reason?: string };

/** Boards that are told something in one statement. */
const AT_ONCE = 500;

/** What boards look for: wanted for the fleet, for groups, for single boards; told in the desired state of each. */
export class ConfigurationService {
  readonly #serial = new Serial();

  constructor(
    private readonly repository: ConfigurationRepository,
    private readonly devices: DeviceRepository,
    private readonly groups: GroupRepository,
    /** Puts the desired states of these boards on the wire. */
    private readonly publish: (deviceIds: readonly string[]) => Promise<void>,
    private readonly now: Now,
  ) {}

  /** `configuration` null: takes back what was wanted of this target. `told`: boards that were told something else at once. */
  async want(
    scope: ConfigurationScope,
    target: string,
    configuration: DeviceConfiguration | null,
    { actor, note }: { actor: string; note: string },
  ): Promise<ConfigurationResult> {
    if (scope === 'device' && (await this.devices.find(target))?.decommissionedAt !== null)
      return { ok: false, code: 'DEVICE_UNKNOWN', detail: `no device ${target} is enrolled` };
    if (scope === 'group' && (await this.groups.find(target)) === null)
      return { ok: false, code: 'GROUP_UNKNOWN', detail: `there is no group ${target}` };
    const problem = configuration === null ? null : configurationProblem(configuration);
    if (problem !== null)
      return { ok: false, code: 'CONFIGURATION_INVALID', detail: problem.message, reason: problem.code };
    const record = await this.repository.add(
      { scope, target, configuration, createdAt: this.now(), createdBy: actor, note },
      configuration === null ? null : configurationDigest(configuration),
    );
    return { ok: true, record, told: await this.settle() };
  }

  /**
   * Tells every board whose desired state holds another configuration than is wanted: after a change of a configuration, a group, a
   * tag, or of what runs. Returns how many it told.
   */
  settle(): Promise<number> {
    return this.#serial.run(async () => {
      const changes = await this.#changes();
      let told = 0;
      for (let from = 0; from < changes.length; from += AT_ONCE) {
        const written = await this.repository.tell(changes.slice(from, from + AT_ONCE), this.now());
        if (written.length > 0) await this.publish(written);
        told += written.length;
      }
      return told;
    });
  }

  async #changes(): Promise<ConfigurationChange[]> {
    const standing = await this.repository.standing();
    const rows = await this.repository.wanted();
    // Most fleets have none: then there is nothing to look through.
    if (rows.length === 0 && [...standing.values()].every(({ digest }) => digest === null)) return [];
    const order = [...(await this.groups.list())];
    const of = (scope: ConfigurationScope) =>
      new Map(rows.flatMap((row) => (row.scope === scope ? [[row.target, row.configuration]] : [])));
    const byGroup = of('group');
    const wanted = {
      fleet: of('fleet').get('') ?? null,
      groups: order.flatMap(({ name }) => {
        const configuration = byGroup.get(name);
        return configuration === undefined ? [] : [{ name, configuration }];
      }),
      devices: of('device'),
    };
    const selectors = new Map(order.map(({ name, selector }) => [name, selector]));
    const digests = new Map(rows.map(({ configuration }) => [configuration, configurationDigest(configuration)]));
    const changes: ConfigurationChange[] = [];
    for (const device of await this.devices.selectable()) {
      const now = standing.get(device.id);
      const configuration = effectiveConfiguration(device, wanted, selectors);
      const digest = configuration === null ? null : (digests.get(configuration) ?? null);
      if (now === undefined || now.digest === digest) continue;
      changes.push({ id: device.id, generation: now.generation, configuration, digest });
    }
    return changes;
  }
}

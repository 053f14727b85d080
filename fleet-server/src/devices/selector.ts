import { createHash } from 'node:crypto';
import { type Static, Type } from '@sinclair/typebox';
import { DeviceId } from '@vigie/protocol';

/** `lab`: a board that may benchmark a release before it is certified; it never gets one into a slot. */
export type DeviceRole = 'standard' | 'lab';

export const Tag = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.:=-]{0,63}$',
  description: 'such as `roof` or `site=north`',
});
const HardwareClassName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' });

export const GroupName = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$', title: 'name of a group' });

/** What a group is made of; see `Selector`. */
export const GroupSelector = Type.Object(
  {
    devices: Type.Optional(Type.Array(DeviceId, { minItems: 1, maxItems: 20_000 })),
    /** All of these. */
    tags: Type.Optional(Type.Array(Tag, { minItems: 1, maxItems: 32 })),
    /** None of these. */
    withoutTags: Type.Optional(Type.Array(Tag, { minItems: 1, maxItems: 32 })),
    /** One of these. */
    hardwareClasses: Type.Optional(Type.Array(HardwareClassName, { minItems: 1, maxItems: 64 })),
    /** Runs one of these now: `name@version`. */
    running: Type.Optional(
      Type.Array(Type.String({ pattern: '^[^@]{1,64}@.{1,64}$', maxLength: 130 }), { minItems: 1, maxItems: 64 }),
    ),
    /** A share of the boards, 0..1, always the same ones for the same salt. A larger share contains the smaller one. */
    share: Type.Optional(
      Type.Object(
        { upTo: Type.Number({ minimum: 0, maximum: 1 }), salt: Type.String({ maxLength: 64, default: '' }) },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
export type GroupSelector = Static<typeof GroupSelector>;

/** Which boards are meant. Every part that is there must hold; `devices` alone names them one by one. */
export const Selector = Type.Composite(
  [
    GroupSelector,
    Type.Object({
      /** In one of these groups. */
      groups: Type.Optional(Type.Array(GroupName, { minItems: 1, maxItems: 64 })),
    }),
  ],
  { additionalProperties: false },
);
export type Selector = Static<typeof Selector>;
export type Groups = ReadonlyMap<string, GroupSelector>;

/** What a selector looks at. */
export interface SelectableDevice {
  id: string;
  tags: readonly string[];
  hardwareClass: string;
  /** `name@version`; null before the first report. */
  running: string | null;
}

/** `groups`: those that exist; one that does not holds no board. */
export function selects(selector: Selector, device: SelectableDevice, groups: Groups = new Map()): boolean {
  const named = selector.groups?.map((name) => groups.get(name));
  if (named?.every((group) => group === undefined || !selects(group, device)) === true) return false;
  const { devices, tags, withoutTags, hardwareClasses, running, share } = selector;
  if (devices !== undefined && !devices.includes(device.id)) return false;
  if (tags?.some((tag) => !device.tags.includes(tag))) return false;
  if (withoutTags?.some((tag) => device.tags.includes(tag))) return false;
  if (hardwareClasses !== undefined && !hardwareClasses.includes(device.hardwareClass)) return false;
  if (running !== undefined && (device.running === null || !running.includes(device.running))) return false;
  return share === undefined || stableShare(device.id, share.salt) < share.upTo;
}

/** A device's place in 0 (inclusive) .. 1 (exclusive): SHA-256 of salt and id, so it never moves and needs no table. */
export function stableShare(deviceId: string, salt: string): number {
  return createHash('sha256').update(`${salt}\0${deviceId}`).digest().readUIntBE(0, 6) / 2 ** 48;
}

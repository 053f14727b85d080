import { and, eq, isNotNull, isNull, or, type SQL, sql } from 'drizzle-orm';
import type { Groups, Selector } from '../../devices/selector.js';
import { devices } from './schema/foundation.js';

/** What a list of devices can be narrowed by; all that is there must hold. */
export interface DeviceFilter {
  tags?: readonly string[];
  group?: string;
  hardwareClass?: string;
  role?: 'standard' | 'lab';
  /** `name@version`. */
  running?: string;
  desired?: string;
  phase?: string;
  error?: string;
  online?: boolean;
  inSync?: boolean;
  pending?: boolean;
  revoked?: boolean;
  /** True: only those; else they are left out. */
  decommissioned?: boolean;
  /** The id or the name begins so, whatever the case. */
  prefix?: string;
}

/** A filter as SQL over `devices`. `groups`: all that exist. */
export function deviceCondition(filter: DeviceFilter, groups: Groups): SQL | undefined {
  const { tags = [], group, hardwareClass, role, running, desired, phase, error, prefix } = filter;
  const { online, inSync, pending, revoked, decommissioned } = filter;
  const begins = prefix === undefined ? '' : `${prefix.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`;
  return and(
    decommissioned === true ? isNotNull(devices.decommissionedAt) : isNull(devices.decommissionedAt),
    tags.length === 0 ? undefined : hasTags(tags),
    group === undefined ? undefined : selectorCondition({ groups: [group] }, groups),
    hardwareClass === undefined ? undefined : eq(devices.hardwareClass, hardwareClass),
    role === undefined ? undefined : eq(devices.role, role),
    running === undefined ? undefined : sql`${devices.running} = ${running}`,
    desired === undefined ? undefined : sql`${devices.desiredRelease} = ${desired}`,
    phase === undefined ? undefined : sql`${devices.phase} = ${phase}`,
    error === undefined ? undefined : sql`${devices.errorCode} = ${error}`,
    online === undefined ? undefined : eq(devices.online, online),
    inSync === undefined ? undefined : sql`${devices.inSync} = ${inSync}`,
    pending === undefined ? undefined : eq(devices.pending, pending),
    revoked === undefined ? undefined : revoked ? isNotNull(devices.revokedAt) : isNull(devices.revokedAt),
    prefix === undefined
      ? undefined
      : sql`(lower(${devices.id}) like ${begins} or lower(${devices.name}) like ${begins})`,
  );
}

/** The same as `selects` in devices/selector.ts, as SQL over `devices`. */
export function selectorCondition(selector: Selector, groups: Groups): SQL | undefined {
  const { devices: ids, tags, withoutTags, hardwareClasses, running, share, groups: named } = selector;
  const inGroups = named?.map((name) => {
    const group = groups.get(name);
    return group === undefined ? sql`false` : (selectorCondition(group, groups) ?? sql`true`);
  });
  const list = (values: readonly string[]) => sql`(select jsonb_array_elements_text(${JSON.stringify(values)}::jsonb))`;
  return and(
    inGroups === undefined ? undefined : or(...inGroups),
    ids === undefined ? undefined : sql`${devices.id} in ${list(ids)}`,
    tags === undefined ? undefined : hasTags(tags),
    ...(withoutTags ?? []).map((tag) => sql`not ${hasTags([tag])}`),
    hardwareClasses === undefined ? undefined : sql`${devices.hardwareClass} in ${list(hardwareClasses)}`,
    running === undefined ? undefined : sql`${devices.running} in ${list(running)}`,
    share === undefined ? undefined : sql`${stableShare(share.salt)} < ${share.upTo}::float8`,
  );
}

/** Rows behind a key, in the order of ids. */
export function behind(after: string | null): SQL | undefined {
  return after === null ? undefined : sql`${devices.id} > ${after}`;
}

function hasTags(tags: readonly string[]): SQL {
  return sql`${devices.tags} @> ${JSON.stringify(tags)}::jsonb`;
}

/** As `stableShare`: the first 48 bits of SHA-256 over salt, a zero byte and the id. */
function stableShare(salt: string): SQL {
  const hash = sql`sha256(convert_to(${salt}, 'UTF8') || '\\x00'::bytea || convert_to(${devices.id}, 'UTF8'))`;
  return sql`(('x' || encode(substring(${hash} from 1 for 6), 'hex'))::bit(48)::bigint / 281474976710656.0::float8)`;
}

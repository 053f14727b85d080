import type { ReleaseDescriptor } from '@vigie/protocol';
import { and, desc, eq, inArray, isNotNull, sql } from 'drizzle-orm';
import type { RehearsalHistory } from '../../rollout/rehearsal.js';
import type { Database } from './database.js';
import { devices, releases } from './schema/foundation.js';
import { rolloutDevices as members } from './schema/rollouts.js';

/** Past installs that a rehearsal looks at: the newest ones. */
const NEWEST = 20_000;

/** What past rollouts and present boards say about the next one. */
export class RolloutHistory {
  constructor(private readonly database: Database) {}

  async installs(): Promise<RehearsalHistory[]> {
    return this.database.drizzle
      .select({
        deviceId: members.deviceId,
        hardwareClass: devices.hardwareClass,
        seconds: sql<number>`extract(epoch from ${members.endedAt} - ${members.offeredAt})::float8`,
        succeeded: sql<boolean>`${members.state} = 'succeeded'`,
      })
      .from(members)
      .innerJoin(devices, eq(devices.id, members.deviceId))
      .where(
        and(
          isNotNull(members.offeredAt),
          isNotNull(members.endedAt),
          inArray(members.state, ['succeeded', 'failed', 'timed-out']),
        ),
      )
      .orderBy(desc(members.endedAt))
      .limit(NEWEST);
  }

  /** Presence of boards and the digest that they run. */
  async boards(): Promise<Map<string, { online: boolean; presenceAt: Date | null; digest: string | null }>> {
    const rows = await this.database.drizzle
      .select({ id: devices.id, online: devices.online, presenceAt: devices.presenceAt, digest: devices.runningDigest })
      .from(devices);
    return new Map(rows.map(({ id, ...row }) => [id, row]));
  }

  /** Descriptors by package digest, of these packages. */
  async descriptors(digests: readonly string[]): Promise<Map<string, ReleaseDescriptor>> {
    if (digests.length === 0) return new Map();
    const rows = await this.database.drizzle
      .select({ digest: releases.digest, descriptor: releases.descriptor })
      .from(releases)
      .where(inArray(releases.digest, [...digests]));
    return new Map(rows.map((row) => [row.digest, row.descriptor]));
  }
}

import type { Desired, Reported, Telemetry } from '@vigie/protocol';
import type { DeviceRole } from './selector.js';

/** A device as it is stored. */
export interface DeviceRecord {
  id: string;
  hardwareClass: string;
  agentVersion: string;
  enrolledAt: Date;
  revokedAt: Date | null;
  /** Waits for an operator's approval. */
  pending: boolean;
  decommissionedAt: Date | null;
  name: string;
  notes: string;
  role: DeviceRole;
  tags: string[];
  timeZone: string | null;
  configurationDigest: string | null;
  bootId: string | null;
  online: boolean;
  presenceAt: Date | null;
  desired: Desired | null;
  reported: Reported | null;
  reportedReceivedAt: Date | null;
}

/** A device as the API shows it. */
export interface DeviceView {
  id: string;
  hardwareClass: string;
  agentVersion: string;
  enrolledAt: string;
  /** When an operator shut it out; null while it may come in. */
  revokedAt: string | null;
  /** Waits for an operator's approval: may report, is told nothing. */
  pending: boolean;
  decommissionedAt: string | null;
  name: string;
  notes: string;
  role: DeviceRole;
  tags: string[];
  timeZone: string | null;
  /** Newest sign of life that is kept: a birth, a will or a report. */
  lastSeenAt: string | null;
  /** `wanted`: digest of what it shall look for; `reported`: what it says of it. */
  configuration: { wanted: string | null; reported: Reported['configuration'] | null };
  presence: { online: boolean; bootId: string | null; at: string | null };
  desired: { generation: number; issuedAt: string; release: Desired['release'] } | null;
  reported: (Reported & { receivedAt: string | null }) | null;
  /** Proof, not hope: see `isInSync`. */
  inSync: boolean;
  telemetry: Telemetry | null;
}

/**
 * Is what the device runs what is wanted of it? Only proof counts: the start of the board that is known as its present one has
 * answered this desired state, has no judgement outstanding, and has live results of this very digest. An install that is
 * written to the disk, on trial, or was left again for the previous model after a restart proves nothing.
 * A board that went offline keeps its last proof; `presence` says how old that may be.
 */
export function isInSync({
  bootId,
  desired,
  reported,
}: Pick<DeviceRecord, 'bootId' | 'desired' | 'reported'>): boolean {
  if (desired?.release == null || reported?.active == null || reported.bootId !== bootId) return false;
  if (reported.generation < desired.generation || !SETTLED.includes(reported.phase)) return false;
  return reported.active.release.digest === desired.release.digest && reported.active.framesRun > 0;
}

const SETTLED: readonly Reported['phase'][] = ['COMMITTED', 'IDLE'];

export function viewDevice(record: DeviceRecord, telemetry: Telemetry | null): DeviceView {
  const { desired, reported } = record;
  return {
    id: record.id,
    hardwareClass: record.hardwareClass,
    agentVersion: record.agentVersion,
    enrolledAt: record.enrolledAt.toISOString(),
    revokedAt: record.revokedAt?.toISOString() ?? null,
    pending: record.pending,
    decommissionedAt: record.decommissionedAt?.toISOString() ?? null,
    name: record.name,
    notes: record.notes,
    role: record.role,
    tags: record.tags,
    timeZone: record.timeZone,
    lastSeenAt: newest(record.presenceAt, record.reportedReceivedAt),
    configuration: { wanted: record.configurationDigest, reported: reported?.configuration ?? null },
    presence: { online: record.online, bootId: record.bootId, at: record.presenceAt?.toISOString() ?? null },
    desired: desired && { generation: desired.generation, issuedAt: desired.issuedAt, release: desired.release },
    reported: reported && { ...reported, receivedAt: record.reportedReceivedAt?.toISOString() ?? null },
    inSync: isInSync(record),
    telemetry,
  };
}

function newest(...times: readonly (Date | null)[]): string | null {
  const known = times.flatMap((time) => (time === null ? [] : [time.getTime()]));
  return known.length === 0 ? null : new Date(Math.max(...known)).toISOString();
}

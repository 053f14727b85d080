import type { Desired, Reported, Telemetry } from '@vigie/protocol';

/** A device as it is stored. */
export interface DeviceRecord {
  id: string;
  hardwareClass: string;
  agentVersion: string;
  enrolledAt: Date;
  revokedAt: Date | null;
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
  presence: { online: boolean; bootId: string | null; at: string | null };
  desired: { generation: number; issuedAt: string; release: Desired['release'] } | null;
  reported: (Reported & { receivedAt: string | null }) | null;
  /** Proof, not hope: the desired digest is active and has detected on frames. */
  inSync: boolean;
  telemetry: Telemetry | null;
}

/** Is what the device runs what is wanted of it? A model that has seen no frame yet, or is still judged, proves nothing. */
export function isInSync(desired: Desired | null, reported: Reported | null): boolean {
  if (desired?.release == null || reported?.active == null || reported.phase === 'TRIAL') return false;
  return reported.active.release.digest === desired.release.digest && reported.active.framesRun > 0;
}

export function viewDevice(record: DeviceRecord, telemetry: Telemetry | null): DeviceView {
  const { desired, reported } = record;
  return {
    id: record.id,
    hardwareClass: record.hardwareClass,
    agentVersion: record.agentVersion,
    enrolledAt: record.enrolledAt.toISOString(),
    revokedAt: record.revokedAt?.toISOString() ?? null,
    presence: { online: record.online, bootId: record.bootId, at: record.presenceAt?.toISOString() ?? null },
    desired: desired && { generation: desired.generation, issuedAt: desired.issuedAt, release: desired.release },
    reported: reported && { ...reported, receivedAt: record.reportedReceivedAt?.toISOString() ?? null },
    inSync: isInSync(desired, reported),
    telemetry,
  };
}

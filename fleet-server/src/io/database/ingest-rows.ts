import type { Reported } from '@vigie/protocol';
import type { BootHistory } from '../../devices/ordering.js';
import type { RollupPart } from '../../devices/telemetry-rollup.js';

export type ReceivedTable = 'reports' | 'telemetry' | 'events' | 'replies';

/** One message with a boot id and a sequence. */
export interface ReceivedRow {
  deviceId: string;
  bootId: string;
  sequence: number;
  at: Date;
  receivedAt: Date;
  body: unknown;
}

export interface SnapshotRow {
  deviceId: string;
  eventId: string;
  sha256: string;
  bytes: number;
  receivedAt: Date;
}

/** What orders a device's messages, as it is stored, and what was last said. */
export interface DeviceOrder extends BootHistory {
  reported: { bootId: string; sequence: number } | null;
  /** What the newest report said; see `stateText`. */
  state: string;
}

export interface DeviceReport {
  body: Reported;
  receivedAt: Date;
  /** What the activity log shall say of it; null: nothing has changed. */
  told: Record<string, unknown> | null;
}

/** Changes of one device's row, and what they were decided on. */
export interface DeviceChange {
  was: DeviceOrder;
  history?: BootHistory & { at: Date };
  reported?: DeviceReport;
}

/** Everything that one commit writes. */
export interface IngestBatch {
  rows: Record<Exclude<ReceivedTable, 'telemetry'>, ReceivedRow[]>;
  telemetry: (ReceivedRow & { minute: Date; part: RollupPart })[];
  snapshots: SnapshotRow[];
  devices: Map<string, DeviceChange>;
}

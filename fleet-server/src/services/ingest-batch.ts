import type { Presence, Reported, Telemetry } from '@vigie/protocol';
import { acceptsReport, applyPresence } from '../devices/ordering.js';
import { reportState, stateText } from '../devices/report-state.js';
import { rollupPart } from '../devices/telemetry-rollup.js';
import type { DeviceChange, DeviceOrder, IngestBatch, ReceivedRow, SnapshotRow } from '../io/database/ingest-rows.js';

const MINUTE = 60_000;

/** Topic kinds with a boot id and a sequence, and where they are stored. */
export const TABLE_OF = { reported: 'reports', telemetry: 'telemetry', events: 'events', replies: 'replies' } as const;
export type SequencedKind = keyof typeof TABLE_OF;

export interface Sequenced {
  bootId: string;
  sequence: number;
  at: string;
}

/** One message that was checked. */
export type Received = { deviceId: string; receivedAt: Date } & (
  | { kind: SequencedKind; message: Sequenced }
  | { kind: 'presence'; message: Presence }
  | { kind: 'snapshots'; row: SnapshotRow }
);

/** What one transaction writes for these messages. `orders` follows them. */
export function batchOf(items: readonly Received[], orders: Map<string, DeviceOrder>): IngestBatch {
  const rows = {
    ...{ reported: new Map<string, ReceivedRow>(), telemetry: new Map<string, ReceivedRow>() },
    ...{ events: new Map<string, ReceivedRow>(), replies: new Map<string, ReceivedRow>() },
  };
  const pictures = new Map<string, SnapshotRow>();
  const read = new Map(orders);
  const devices: IngestBatch['devices'] = new Map();
  for (const item of items) {
    const { deviceId, receivedAt } = item;
    if (item.kind === 'snapshots') pictures.set(`${deviceId}/${item.row.eventId}`, item.row);
    else if (item.kind === 'presence') takePresence(item, orders, changeOf(devices, read, deviceId));
    else {
      const { bootId, sequence, at } = item.message;
      const row = { deviceId, bootId, sequence, at: new Date(at), receivedAt, body: item.message };
      rows[item.kind].set(`${deviceId}/${bootId}/${sequence}`, row);
      if (item.kind === 'reported') takeReport(item, orders, changeOf(devices, read, deviceId));
    }
  }
  for (const [id, { history, reported }] of devices) {
    if (history === undefined && reported === undefined) devices.delete(id);
  }
  return {
    rows: {
      reports: [...rows.reported.values()],
      events: [...rows.events.values()],
      replies: [...rows.replies.values()],
    },
    telemetry: [...rows.telemetry.values()].map((row) => ({
      ...row,
      minute: new Date(Math.floor(row.receivedAt.getTime() / MINUTE) * MINUTE),
      part: rollupPart(row.body as Telemetry),
    })),
    snapshots: [...pictures.values()],
    devices,
  };
}

function changeOf(changes: Map<string, DeviceChange>, read: Map<string, DeviceOrder>, deviceId: string): DeviceChange {
  const was = read.get(deviceId);
  const change = changes.get(deviceId) ?? ({ was } as DeviceChange);
  if (was !== undefined) changes.set(deviceId, change);
  return change;
}

function takePresence(
  item: { deviceId: string; receivedAt: Date; message: Presence },
  orders: Map<string, DeviceOrder>,
  change: DeviceChange,
): void {
  const order = orders.get(item.deviceId);
  const next = order === undefined ? null : applyPresence(order, item.message);
  if (order === undefined || next === null) return;
  const { bootId, pastBoots, online } = next;
  orders.set(item.deviceId, { ...order, bootId, pastBoots, online });
  change.history = { bootId, pastBoots, online, at: item.receivedAt };
}

function takeReport(
  item: { deviceId: string; receivedAt: Date; message: Sequenced },
  orders: Map<string, DeviceOrder>,
  change: DeviceChange,
): void {
  const order = orders.get(item.deviceId);
  if (order === undefined || !acceptsReport(order, order.reported, item.message)) return;
  const { bootId, sequence } = item.message;
  const body = item.message as unknown as Reported;
  const state = reportState(body);
  orders.set(item.deviceId, { ...order, reported: { bootId, sequence } });
  const told = stateText(state) === change.was.state ? null : { ...state };
  change.reported = { body, receivedAt: item.receivedAt, told };
}

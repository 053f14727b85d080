import type { Presence, Reported } from '@vigie/protocol';
import { acceptsReport, applyPresence } from '../devices/ordering.js';
import type { DeviceChange, DeviceOrder } from '../io/database/ingest-repository.js';

interface Report {
  bootId: string;
  sequence: number;
}

function changeOf(changes: Map<string, DeviceChange>, deviceId: string): DeviceChange {
  const change = changes.get(deviceId) ?? {};
  changes.set(deviceId, change);
  return change;
}

/** What a birth or a will changes of its device; an old one changes nothing. */
export function takePresence(
  item: { deviceId: string; receivedAt: Date; message: Presence },
  orders: Map<string, DeviceOrder>,
  changes: Map<string, DeviceChange>,
): void {
  const order = orders.get(item.deviceId);
  const next = order === undefined ? null : applyPresence(order, item.message);
  if (order === undefined || next === null) return;
  orders.set(item.deviceId, { ...next, reported: order.reported });
  changeOf(changes, item.deviceId).history = {
    bootId: next.bootId,
    pastBoots: next.pastBoots,
    online: next.online,
    at: item.receivedAt,
  };
}

/** The same of a report. */
export function takeReport(
  item: { deviceId: string; receivedAt: Date; message: Report },
  orders: Map<string, DeviceOrder>,
  changes: Map<string, DeviceChange>,
): void {
  const order = orders.get(item.deviceId);
  if (order === undefined || !acceptsReport(order, order.reported, item.message)) return;
  orders.set(item.deviceId, { ...order, reported: { bootId: item.message.bootId, sequence: item.message.sequence } });
  changeOf(changes, item.deviceId).reported = {
    body: item.message as unknown as Reported,
    receivedAt: item.receivedAt,
  };
}

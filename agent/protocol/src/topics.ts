/**
 * Every MQTT topic of Vigie is built and parsed here and nowhere else (docs/design.md, section 4).
 * Levels hold only `A-Z a-z 0-9 _ -`; subscriptions name exact topics, because some brokers send no retained
 * messages to wildcards.
 */
export const ROOT = 'vigie/v1';

/** No message on the wire is larger than this, so that the contract holds on AWS IoT too (128 KiB). */
export const MAX_MESSAGE_BYTES = 131_072;

/** Largest chunk of a file, bytes; the size of every chunk but the last where a descriptor names no sizes. */
export const CHUNK_BYTES = 65_536;

const LEVEL = /^[A-Za-z0-9_-]{1,128}$/;

/** Topic kinds that belong to one device. */
export const DEVICE_TOPIC_KINDS = [
  'desired',
  'commands',
  'acks',
  'reported',
  'presence',
  'telemetry',
  'events',
  'replies',
] as const;
export type DeviceTopicKind = (typeof DEVICE_TOPIC_KINDS)[number];

/** TUF metadata roles that travel as topics. `timestamp` and `index` carry no version in their topic. */
export type TufRole = 'root' | 'targets' | 'snapshot' | 'timestamp' | 'certified';

export type ParsedTopic =
  | { kind: DeviceTopicKind; deviceId: string }
  | { kind: 'snapshots'; deviceId: string; eventId: string }
  | { kind: 'tuf'; role: TufRole; version: number | null }
  | { kind: 'tuf-index' }
  | { kind: 'chunks'; sha256: string };

function level(value: string): string {
  if (!LEVEL.test(value)) throw new RangeError(`topic level "${value}" may only hold A-Z a-z 0-9 _ -`);
  return value;
}

/** `vigie/v1/devices/{id}/{kind}` */
export function deviceTopic(deviceId: string, kind: DeviceTopicKind): string {
  return `${ROOT}/devices/${level(deviceId)}/${kind}`;
}

/** `vigie/v1/devices/{id}/snapshots/{event}` */
export function snapshotTopic(deviceId: string, eventId: string): string {
  return `${ROOT}/devices/${level(deviceId)}/snapshots/${level(eventId)}`;
}

/** `vigie/v1/tuf/root/3`, `vigie/v1/tuf/timestamp` (`version` null). */
export function tufTopic(role: TufRole, version: number | null): string {
  return version === null ? `${ROOT}/tuf/${role}` : `${ROOT}/tuf/${role}/${version}`;
}

/** Names which metadata versions exist: a retained topic that does not exist says nothing. */
export const TUF_INDEX_TOPIC = `${ROOT}/tuf/index`;

/** `vigie/v1/chunks/{sha256}` */
export function chunkTopic(sha256: string): string {
  return `${ROOT}/chunks/${level(sha256)}`;
}

const DEVICES = `${ROOT}/devices/`;
const KINDS: ReadonlySet<string> = new Set(DEVICE_TOPIC_KINDS);

/** The inverse of the builders above; `null` for a topic that is not ours. A server does this for every message of its fleet. */
export function parseTopic(topic: string): ParsedTopic | null {
  return topic.startsWith(DEVICES) ? parseDeviceTopic(topic) : parseSharedTopic(topic);
}

/** Without `split`, which makes an array and looks each part up among all strings of the process. */
function parseDeviceTopic(topic: string): ParsedTopic | null {
  const end = topic.indexOf('/', DEVICES.length);
  if (end < 0) return null;
  const deviceId = topic.slice(DEVICES.length, end);
  if (!LEVEL.test(deviceId)) return null;
  const kind = topic.slice(end + 1);
  if (KINDS.has(kind)) return { kind: kind as DeviceTopicKind, deviceId };
  if (!kind.startsWith('snapshots/')) return null;
  const eventId = kind.slice('snapshots/'.length);
  return LEVEL.test(eventId) ? { kind: 'snapshots', deviceId, eventId } : null;
}

function parseSharedTopic(topic: string): ParsedTopic | null {
  const levels = topic.split('/');
  if (levels[0] !== 'vigie' || levels[1] !== 'v1' || levels.slice(2).some((part) => !LEVEL.test(part))) return null;
  const [area, first, second] = levels.slice(2);
  if (area === 'tuf' && levels.length === 4 && first === 'index') return { kind: 'tuf-index' };
  if (area === 'tuf' && levels.length === 4 && first === 'timestamp')
    return { kind: 'tuf', role: 'timestamp', version: null };
  if (area === 'tuf' && levels.length === 5 && ['root', 'targets', 'snapshot', 'certified'].includes(first)) {
    return /^[1-9]\d{0,9}$/.test(second) ? { kind: 'tuf', role: first as TufRole, version: Number(second) } : null;
  }
  if (area === 'chunks' && levels.length === 4 && /^[0-9a-f]{64}$/.test(first))
    return { kind: 'chunks', sha256: first };
  return null;
}

const PUBLISHED: ReadonlySet<string> = new Set([
  ...['reported', 'presence', 'telemetry', 'events', 'snapshots', 'replies'],
]);

/** May this device publish on this topic? (docs/design.md, section 4) */
export function devicePublishAllowed(deviceId: string, topic: string): boolean {
  const parsed = parseTopic(topic);
  if (parsed === null || !('deviceId' in parsed) || parsed.deviceId !== deviceId) return false;
  return PUBLISHED.has(parsed.kind);
}

/** May this device subscribe to this topic? Exact topics only: a filter with a wildcard parses to nothing. */
export function deviceSubscribeAllowed(deviceId: string, filter: string): boolean {
  const parsed = parseTopic(filter);
  if (parsed === null) return false;
  if ('deviceId' in parsed)
    return parsed.deviceId === deviceId && ['desired', 'commands', 'acks'].includes(parsed.kind);
  return true;
}

import { describe, expect, it } from 'vitest';
import {
  chunkTopic,
  DEVICE_TOPIC_KINDS,
  devicePublishAllowed,
  deviceSubscribeAllowed,
  deviceTopic,
  parseTopic,
  snapshotTopic,
  TUF_INDEX_TOPIC,
  tufTopic,
} from './topics.js';

const sha256 = 'ab'.repeat(32);

describe('topics', () => {
  it('parses everything it builds', () => {
    for (const kind of DEVICE_TOPIC_KINDS) {
      expect(parseTopic(deviceTopic('roof-1', kind))).toEqual({ kind, deviceId: 'roof-1' });
    }
    expect(parseTopic(snapshotTopic('roof-1', 'e_1'))).toEqual({
      kind: 'snapshots',
      deviceId: 'roof-1',
      eventId: 'e_1',
    });
    expect(parseTopic(tufTopic('root', 3))).toEqual({ kind: 'tuf', role: 'root', version: 3 });
    expect(parseTopic(tufTopic('timestamp', null))).toEqual({ kind: 'tuf', role: 'timestamp', version: null });
    expect(parseTopic(TUF_INDEX_TOPIC)).toEqual({ kind: 'tuf-index' });
    expect(parseTopic(chunkTopic(sha256))).toEqual({ kind: 'chunks', sha256 });
  });

  it.each([
    'vigie/v1/devices/+/desired',
    'vigie/v1/#',
    'vigie/v2/devices/a/desired',
    'vigie/v1/devices/a/desired/x',
    'vigie/v1/devices/a/unknown',
    'vigie/v1/devices/a.b/desired',
    'vigie/v1/devices//desired',
    'vigie/v1/tuf/root/0',
    'vigie/v1/tuf/root/1.json',
    'vigie/v1/tuf/evil/1',
    'vigie/v1/chunks/short',
    'vigie/v1/devices/a/snapshots',
    '$SYS/broker',
    '',
  ])('knows nothing of %s', (topic) => expect(parseTopic(topic)).toBeNull());

  it('refuses to build a topic from a level that is not one', () => {
    for (const bad of ['a/b', '+', '#', 'a.b', '', 'a b'])
      expect(() => deviceTopic(bad, 'desired')).toThrow(RangeError);
  });

  it('lets a device publish its own word and nothing else', () => {
    for (const kind of ['reported', 'presence', 'telemetry', 'events', 'replies'] as const) {
      expect(devicePublishAllowed('a', deviceTopic('a', kind))).toBe(true);
      expect(devicePublishAllowed('a', deviceTopic('b', kind))).toBe(false);
    }
    expect(devicePublishAllowed('a', snapshotTopic('a', 'e'))).toBe(true);
    for (const kind of ['desired', 'commands', 'acks'] as const) {
      expect(devicePublishAllowed('a', deviceTopic('a', kind))).toBe(false);
    }
    for (const topic of [tufTopic('root', 1), chunkTopic(sha256), TUF_INDEX_TOPIC, 'other']) {
      expect(devicePublishAllowed('a', topic)).toBe(false);
    }
  });

  it('lets a device hear what is meant for it, by exact topic', () => {
    for (const kind of ['desired', 'commands', 'acks'] as const) {
      expect(deviceSubscribeAllowed('a', deviceTopic('a', kind))).toBe(true);
      expect(deviceSubscribeAllowed('a', deviceTopic('b', kind))).toBe(false);
    }
    expect(deviceSubscribeAllowed('a', deviceTopic('a', 'events'))).toBe(false);
    for (const filter of [tufTopic('root', 1), chunkTopic(sha256), TUF_INDEX_TOPIC]) {
      expect(deviceSubscribeAllowed('a', filter)).toBe(true);
    }
    for (const filter of ['vigie/v1/devices/a/#', 'vigie/v1/chunks/+', '#', '+/+']) {
      expect(deviceSubscribeAllowed('a', filter)).toBe(false);
    }
  });
});

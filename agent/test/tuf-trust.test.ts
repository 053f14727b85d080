import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import {
  CHUNK_BYTES,
  chunkTopic,
  encodeMessage,
  type ReleaseReference,
  SERVER_KEYS_TARGET,
  TUF_INDEX_TOPIC,
  tufTopic,
} from '@vigie/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FleetTrust } from '../src/io/fleet-trust.js';
import { HttpsMetadataSource } from '../src/io/https-metadata.js';
import type { MetadataSource } from '../src/io/metadata-source.js';
import { MqttLink } from '../src/io/mqtt-link.js';
import { MqttMetadataSource } from '../src/io/mqtt-metadata.js';
import { fetchRetained } from '../src/io/retained-message.js';
import { TufClient } from '../src/io/tuf-client.js';
import { openDesired } from '../src/update/desired.js';
import { makePackage, silent } from './board-fixture.js';
import { scratchFolder, sha256, TestBroker, TestFleet, until } from './fleet-fixture.js';
import { ManualClock } from './manual-clock.js';
import { MetadataServer, plainGet } from './metadata-server.js';
import { TufSimulator } from './tuf-simulator.js';

let broker: TestBroker;
let fleet: TestFleet;
let link: MqttLink;
let data: string;
let release: ReleaseReference;
let now: number;

const signal = new AbortController().signal;
const pemOf = ({ publicKey }: { publicKey: { export(options: object): string | Buffer } }): string =>
  publicKey.export({ type: 'spki', format: 'pem' }).toString();

function client(options: { https?: MetadataServer; hardwareClass?: string } = {}): TufClient {
  const { https, hardwareClass = 'generic-x64' } = options;
  const topics = new MqttMetadataSource(link, 300);
  const sources = https === undefined ? [topics] : [topics, new HttpsMetadataSource(https.url, plainGet)];
  return new TufClient({
    sources: () => sources,
    directory: join(data, 'tuf'),
    enrolledRoot: fleet.identity.tufRoot,
    enrolledKeys: fleet.identity.serverKeys,
    hardwareClass,
    now: () => now,
    log: silent,
  });
}

const code = (by: TufClient) =>
  by.describe(release, signal).then(
    () => 'ok',
    (error: { code: string }) => error.code,
  );

beforeEach(async () => {
  now = Date.now();
  broker = await TestBroker.start();
  fleet = new TestFleet(broker);
  data = scratchFolder();
  release = await fleet.publish(await makePackage('1.0.0', { modelBytes: 1000 }), { chunks: false });
  link = new MqttLink({ ...fleet.identity.mqtt, deviceId: 'board-1', bootId: '00000000-0000', log: silent });
  link.start();
  await until('a connection', () => link.connected);
});

afterEach(async () => {
  await link.stop();
  await broker.close();
});

describe('a certificate', () => {
  test('for every class, for this one, for others, for none', async () => {
    expect(await code(client())).toBe('ok');
    for (const [classes, expected] of [
      [['rpi5-8g', 'generic-x64'], 'ok'],
      [['rpi5-8g'], 'NOT_CERTIFIED'],
      [[], 'NOT_CERTIFIED'],
    ] as const) {
      await fleet.certify(release.digest, classes);
      await fleet.republish();
      expect(await code(client())).toBe(expected);
    }
    fleet.certificates.clear();
    await fleet.republish();
    expect(await code(client())).toBe('NOT_CERTIFIED');
  });

  test('of another package under this one’s name, and one that is none', async () => {
    const [[path, bytes]] = fleet.certificates;
    const other = Buffer.from(bytes.toString().replace(release.digest, 'f'.repeat(64)));
    for (const [forged, expected] of [
      [other, 'NOT_CERTIFIED'],
      [Buffer.from('{"digest":1}'), 'TUF_MALFORMED'],
    ] as const) {
      fleet.certificates.set(path, forged);
      await broker.retain(chunkTopic(sha256(forged)), forged);
      await fleet.republish();
      expect(await code(client())).toBe(expected);
    }
  });
});

describe('metadata larger than a message', () => {
  /** Puts a role's newest bytes on chunks, and empties its topic. */
  async function cut(role: 'snapshot' | 'targets' | 'certified', spoil?: (part: Buffer) => Buffer): Promise<void> {
    const topic = tufTopic(role, fleet.version);
    const whole = await retainedOn(topic);
    const parts = [];
    for (let at = 0; at < whole.length; at += 500) parts.push(whole.subarray(at, at + 500));
    const references = parts.map((part) => ({ sha256: sha256(part), size: part.length }));
    for (const [index, part] of parts.entries()) {
      const bytes = index === 1 && spoil !== undefined ? spoil(part) : part;
      await broker.retain(chunkTopic(references[index].sha256), bytes);
    }
    await broker.retain(topic, Buffer.alloc(0));
    const { version } = fleet;
    const versions = { timestamp: version, snapshot: version, targets: version, certified: version };
    const index = { root: 1, ...versions, parts: { [role]: references } };
    await broker.retain(TUF_INDEX_TOPIC, encodeMessage('tuf-index', index));
  }

  async function retainedOn(topic: string): Promise<Buffer> {
    return fetchRetained(link, topic, { timeoutMs: 300, signal });
  }

  test('comes as chunks that the index names', async () => {
    for (const role of ['snapshot', 'targets', 'certified'] as const) {
      await fleet.republish();
      await cut(role);
      expect(await code(client()), role).toBe('ok');
    }
  });

  test('of which one has other bytes, or more of them', async () => {
    await cut('targets', (part) => Buffer.from(part.map((byte) => byte ^ 1)));
    expect(await code(client())).toBe('TUF_MISMATCH');
    await fleet.republish();
    await cut('targets', (part) => Buffer.concat([part, Buffer.alloc(1000)]));
    expect(await code(client())).toBe('TUF_TOO_LARGE');
  });

  test('of which the index promises more than may be', async () => {
    const parts = { targets: Array.from({ length: 64 }, () => ({ sha256: 'a'.repeat(64), size: CHUNK_BYTES })) };
    const index = { root: 1, timestamp: 1, snapshot: 1, targets: 1, certified: 1, parts };
    await broker.retain(TUF_INDEX_TOPIC, encodeMessage('tuf-index', index));
    expect(await code(client()), 'more than snapshot announced').toBe('TUF_TOO_LARGE');
  });
});

describe('the second source', () => {
  let server: MetadataServer;

  beforeEach(async () => {
    server = await MetadataServer.start();
  });

  afterEach(() => server.close());

  test('is asked when the topics give nothing, and only then', async () => {
    // Another fleet's metadata: whoever asks for it has asked the wrong one, and says so.
    server.repository = new TufSimulator();
    expect(await code(client({ https: server }))).toBe('ok');
    expect(server.asked).toEqual([]);
    await broker.retain(TUF_INDEX_TOPIC, Buffer.alloc(0));
    expect(await code(client({ https: server }))).toBe('TUF_SIGNATURE_INVALID');
    expect(server.asked[0]).toBe('2.root.json');
    server.repository = null;
    expect(await code(client({ https: server }))).toBe('TUF_UNAVAILABLE');
  });

  test('endless bytes are cut off, other answers are none', async () => {
    server.repository = new TufSimulator();
    await broker.retain(TUF_INDEX_TOPIC, Buffer.alloc(0));
    server.special.set('/tuf/2.root.json', 'endless');
    expect(await code(client({ https: server }))).toBe('TUF_TOO_LARGE');
    expect(server.sent).toBeLessThan(64 * 1024 * 1024);
    for (const status of [500, 302, 403]) {
      server.special.set('/tuf/2.root.json', status);
      expect(await code(client({ https: server })), String(status)).toBe('TUF_UNAVAILABLE');
    }
  });
});

test('a look in the middle of a publication is repeated', async () => {
  const topics = new MqttMetadataSource(link, 300);
  let looks = 0;
  const torn: MetadataSource = {
    name: 'torn',
    async open(...all) {
      const session = await topics.open(...all);
      looks += 1;
      const foreign = new TufSimulator().files.get('timestamp.json') as Buffer;
      if (looks > 1) return session;
      return {
        ...session,
        metadata: (role, ...more) =>
          role === 'timestamp' ? Promise.resolve(foreign) : session.metadata(role, ...more),
      };
    },
  };
  const { tufRoot: enrolledRoot, serverKeys: enrolledKeys } = fleet.identity;
  const by = new TufClient({
    ...{ directory: join(data, 'tuf'), enrolledRoot, enrolledKeys, hardwareClass: 'generic-x64', log: silent },
    sources: () => [torn],
    now: () => now,
  });
  expect(await code(by)).toBe('ok');
  expect(looks).toBe(2);
});

test('proven time outlives a restart without a clock', async () => {
  const clock = new ManualClock();
  const start = async (): Promise<FleetTrust> => {
    const trust = new FleetTrust({
      ...{ link, identity: fleet.identity, dataDirectory: data, hardwareClass: 'generic-x64', clock, log: silent },
      random: () => 0,
      synchronised: () => false,
    });
    await trust.open();
    return trust;
  };
  const first = await start();
  const proven = clock.wall() + 90 * 86_400_000;
  first.prove(proven);
  await first.close();
  const second = await start();
  expect(second.now()).toEqual({ ms: proven, trusted: false });
  clock.advance(7_200_000);
  expect(second.now().ms, 'and goes on').toBe(proven + 7_200_000);
  await second.close();
  expect((await start()).now().ms).toBeGreaterThanOrEqual(proven + 7_200_000);
});

describe('a withdrawn release', () => {
  test('is known only by verified, unexpired metadata', async () => {
    const by = client();
    expect(await by.isWithdrawn(release), 'nothing is known yet').toBe(false);
    await by.refresh(signal);
    expect(await by.isWithdrawn(release)).toBe(false);
    expect(await code(by)).toBe('ok');
    let refreshed = 0;
    by.onRefresh(() => {
      refreshed += 1;
    });
    fleet.releases.clear();
    await fleet.republish();
    await by.refresh(signal);
    expect(refreshed).toBe(1);
    expect(await by.isWithdrawn(release)).toBe(true);
    now += 2 * 3_600_000;
    expect(await by.isWithdrawn(release), 'old news is no news').toBe(false);
  });

  test('is told apart from one that was never listed, also after a restart', async () => {
    expect(await code(client())).toBe('ok');
    fleet.releases.clear();
    await fleet.republish();
    expect(await code(client())).toBe('RELEASE_WITHDRAWN');
    release = { ...release, version: '9.9.9' };
    expect(await code(client())).toBe('TARGET_UNKNOWN');
  });
});

describe('the keys of the server', () => {
  const next = generateKeyPairSync('ed25519');
  const list = (...keys: string[]) => fleet.addTarget(SERVER_KEYS_TARGET, Buffer.from(JSON.stringify({ keys })));

  function ids(by: TufClient): { trusted: string[]; revoked: string[] } {
    const pems = (keys: readonly { export(options: object): string | Buffer }[]) =>
      keys.map((key) => key.export({ type: 'spki', format: 'pem' }).toString());
    return { trusted: pems(by.keyring.trusted), revoked: pems(by.keyring.revoked) };
  }

  test('are those of the enrolment until the publisher lists others, which a restart knows', async () => {
    const [enrolled] = fleet.identity.serverKeys;
    const first = client();
    await first.open();
    await first.refresh(signal);
    expect(ids(first)).toEqual({ trusted: [enrolled], revoked: [] });
    await list(enrolled, pemOf(next));
    await fleet.republish();
    await first.refresh(signal);
    expect(ids(first)).toEqual({ trusted: [enrolled, pemOf(next)], revoked: [] });
    await list(pemOf(next));
    await fleet.republish();
    await first.refresh(signal);
    expect(ids(first)).toEqual({ trusted: [pemOf(next)], revoked: [enrolled] });
    const second = client();
    await second.open();
    expect(ids(second), 'without a line').toEqual({ trusted: [pemOf(next)], revoked: [enrolled] });
    fleet.others.clear();
    await fleet.republish();
    await second.refresh(signal);
    expect(ids(second)).toEqual({ trusted: [enrolled], revoked: [pemOf(next)] });
  });

  test('stay as they are when the list is none', async () => {
    const by = client();
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    for (const keys of [[], ['-----BEGIN PUBLIC KEY-----'], [pemOf({ publicKey })]]) {
      await list(...keys);
      await fleet.republish();
      expect(await code(by)).toBe('TUF_MALFORMED');
      expect(ids(by).trusted).toEqual(fleet.identity.serverKeys);
    }
  });

  test('that nobody knew are looked for once, and known by a later update', async () => {
    const clock = new ManualClock();
    const trust = new FleetTrust({
      ...{ link, identity: fleet.identity, dataDirectory: data, hardwareClass: 'generic-x64', clock, log: silent },
      random: () => 0,
      timing: { messageMs: 300 },
      synchronised: () => false,
    });
    await trust.open();
    const verdicts: string[] = [];
    const offer = async (key = next.privateKey): Promise<void> => {
      const from = broker.published.length;
      await fleet.assign(release, 1, {}, key);
      const bytes = await new Promise<Buffer>((resolve) => {
        void link.subscribe('vigie/v1/devices/board-1/desired', (payload) => resolve(Buffer.from(payload)));
      });
      expect(from).toBeLessThanOrEqual(broker.published.length);
      trust.judge('desired', bytes, () => {
        const opened = openDesired(bytes, { deviceId: 'board-1', trustedKeys: trust.keyring, lastGeneration: 0 });
        verdicts.push(opened.kind === 'refused' ? opened.code : opened.kind);
      });
    };
    const looks = () => broker.subscribed.filter((topic) => topic === TUF_INDEX_TOPIC).length;
    await offer();
    await until('a verdict', () => verdicts.length === 1);
    expect([verdicts, looks()]).toEqual([['DESIRED_SIGNATURE_INVALID'], 1]);
    await offer();
    await until('a second verdict', () => verdicts.length === 2);
    expect(looks(), 'not again within the half minute').toBe(1);
    await list(pemOf(next));
    await fleet.republish();
    await trust.releases.refresh(signal);
    await until('the message judged again', () => verdicts.length === 3);
    expect(verdicts[2]).toBe('accepted');
    await offer(fleet.server.privateKey);
    await until('the old key', () => verdicts.length === 4);
    expect(verdicts[3]).toBe('DESIRED_KEY_REVOKED');
    await trust.close();
  });
});

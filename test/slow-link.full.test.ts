import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packDirectory } from '@vigie/models/package/archive';
import type { ReleaseDescriptor } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MqttObserver } from '../benchmarks/src/clients/mqtt-observer.js';
import { boardConfig, enrollBoard } from '../benchmarks/src/rig/board.js';
import { type FleetServer, initialiseServer, startServer } from '../benchmarks/src/rig/fleet-server.js';
import { freePorts } from '../benchmarks/src/rig/free-port.js';
import { AGENT_CLI, CLIP, INT8_PACKAGE } from '../benchmarks/src/rig/repository.js';
import { Rig } from '../benchmarks/src/rig/rig.js';
import { pause, waitFor } from '../benchmarks/src/rig/wait.js';
import { RestlessProxy, SlowLink, slowLinkObstacle } from './support/slow-link.js';

const obstacle = slowLinkObstacle();
if (obstacle !== null) console.warn(`skipped: ${obstacle}`);

/** Bytes of all different chunks of a release: what a board without any model is missing. */
function missingBytes(descriptor: ReleaseDescriptor): number {
  const sizes = new Map<string, number>();
  for (const file of descriptor.files)
    file.chunks.forEach((sha256, i) => {
      sizes.set(sha256, file.chunkSizes?.[i] ?? 0);
    });
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

describe.skipIf(obstacle !== null)('an update over 256 kbit/s that stalls and is cut every 10 s', () => {
  const rig = new Rig();
  const closers: (() => unknown)[] = [];
  let link: SlowLink;
  let server: FleetServer;
  let missing: number;
  let release: { name: string; version: string };

  beforeAll(async () => {
    const [http, mqtt] = await freePorts(2);
    const { adminToken } = await initialiseServer(rig.path('server'));
    server = await startServer(rig, rig.path('server'), adminToken, { http, mqtt });
    const { bytes, manifest } = await packDirectory(INT8_PACKAGE);
    await server.client.publishRelease(bytes);
    release = manifest;
    const response = await fetch(`${server.httpUrl}/api/v1/releases/${manifest.name}/${manifest.version}`, {
      headers: { authorization: `Bearer ${adminToken}` },
    });
    missing = missingBytes(((await response.json()) as { descriptor: ReleaseDescriptor }).descriptor);
    link = new SlowLink(256);
  }, 120_000);

  afterAll(async () => {
    for (const close of closers.reverse()) await close();
    await rig.close();
    link?.close();
  });

  /** A proxy in front of one of the server's listeners; gives the URL by which the board finds it. */
  async function restless(url: string, periodMs: number): Promise<{ url: string; proxy: RestlessProxy }> {
    const { protocol, port } = new URL(url);
    const proxy = await RestlessProxy.start(link.hostAddress, Number(port), { periodMs, stallMs: 2000 });
    closers.push(() => proxy.close());
    return { url: `${protocol}//localhost:${proxy.port}`, proxy };
  }

  async function startBoard(device: string, transport: string) {
    const directory = rig.path(device);
    mkdirSync(directory, { recursive: true });
    await enrollBoard(server.httpsUrl, await server.client.enrollmentToken(), directory, device);
    const path = join(directory, 'identity.json');
    const identity = JSON.parse(readFileSync(path, 'utf8')) as { mqtt: { url: string }; https: { url: string } };
    // What the other connection's returns would cost is not this transport's: only the one under test is cut.
    const period = (name: string) => (name === transport ? 10_000 : 1_000_000_000);
    const mqtt = await restless(identity.mqtt.url, period('mqtt'));
    const https = await restless(identity.https.url, period('https'));
    identity.mqtt.url = mqtt.url;
    identity.https.url = https.url;
    writeFileSync(path, JSON.stringify(identity), { mode: 0o600 });
    const config = `${directory}.yaml`;
    // Telemetry would be counted too.
    const quiet = ['telemetry:', '  intervalSeconds: 3600', 'delivery:', `  transport: ${transport}`, ''];
    const source = { url: CLIP, pacing: 'realtime', loop: true } as const;
    writeFileSync(config, boardConfig({ directory, httpPort: 8081, source }) + quiet.join('\n'), { mode: 0o600 });
    const observer = await MqttObserver.connect(server.mqttUrl, server.adminToken, device);
    closers.push(() => observer.close());
    const [command, ...args] = [...link.prefix, process.execPath, AGENT_CLI, 'run', '--config', config];
    const board = rig.start({ name: device, command, args });
    await waitFor('the board to come online', () => observer.reports.length > 0, {
      timeoutMs: 60_000,
      guard: () => rig.assertRunning(),
    });
    return { board, observer, proxies: [mqtt.proxy, https.proxy] };
  }

  it.each(['mqtt', 'https'])(
    'completes by %s, for little more on the wire than the missing chunks',
    async (transport) => {
      const device = `slow-${transport}`;
      const { board, observer, proxies } = await startBoard(device, transport);
      await pause(3000);
      const total = (read: (proxy: RestlessProxy) => number) => proxies.reduce((sum, proxy) => sum + read(proxy), 0);
      const look = () => ({
        ...link.counters(),
        payloadIn: total((proxy) => proxy.passed.toBoard),
        payloadOut: total((proxy) => proxy.passed.fromBoard),
        cuts: total((proxy) => proxy.cuts),
      });
      const before = look();
      const start = performance.now();
      const generation = await server.client.assign(device, release.name, release.version);
      const seen = (phases: string[]) =>
        observer.reports.find(({ report }) => report.generation === generation && phases.includes(report.phase));
      const ends = ['COMMITTED', 'FAILED', 'ROLLED_BACK', 'INCONCLUSIVE'];
      const waiting = { timeoutMs: 300_000, guard: () => rig.assertRunning() };
      await waitFor(
        'the end of the download',
        () => seen(['VERIFYING', 'STAGED', 'SELF_TEST', 'TRIAL', ...ends]),
        waiting,
      );
      const after = look();
      const seconds = Math.round((performance.now() - start) / 1000);
      const { report } = await waitFor('the end of the install', () => seen(ends), waiting);
      await board.stop();
      const payload = after.payloadIn - before.payloadIn;
      const received = after.received - before.received;
      const sent = after.sent - before.sent;
      const share = (bytes: number) => (bytes / missing).toFixed(3);
      console.info(
        `${transport}: ${missing} bytes of chunks were missing; on the wire ${share(received)} of that came in and ` +
          `${share(sent)} went out, TCP payload ${share(payload)} and ` +
          `${share(after.payloadOut - before.payloadOut)}; ${after.cuts - before.cuts} cuts, ${seconds} s; ` +
          `the board counted ${report.delivery?.fetchedBytes}`,
      );
      expect(report.phase).toBe('COMMITTED');
      expect(report.delivery?.transport).toBe(transport);
      expect(after.cuts - before.cuts).toBeGreaterThan(2);
      // The promise of 1.1 is about MQTT; HTTPS has handshakes, the heads of answers and what was on its way at a cut on top
      // (docs/delivery.md). It is held for what TCP was given. On the wire TCP's own headers come on top, 5 % on an idle machine
      // (1.08 to 1.09 in all); a busy one sends smaller segments: 1.103 was seen, so that bound is wider here.
      expect(payload / missing).toBeLessThanOrEqual(transport === 'mqtt' ? 1.1 : 1.3);
      expect(received / missing).toBeLessThanOrEqual(1.15);
      expect((received + sent) / missing).toBeLessThanOrEqual(1.25);
    },
    600_000,
  );
});

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

const DEVICE = 'slow-board';
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
  let link: SlowLink;
  let server: FleetServer;
  let proxy: RestlessProxy;
  let observer: MqttObserver;
  let ports: number[];

  beforeAll(async () => {
    ports = await freePorts(2);
    const { adminToken, enrollmentToken } = await initialiseServer(rig.path('server'));
    server = await startServer(rig, rig.path('server'), adminToken, { http: ports[0], mqtt: ports[1] });
    await enrollBoard(server.httpUrl, enrollmentToken, rig.path('board'), DEVICE);
    link = new SlowLink(256);
    observer = await MqttObserver.connect(server.mqttUrl, adminToken, DEVICE);
  });

  afterAll(async () => {
    await observer?.close();
    await rig.close();
    await proxy?.close();
    link?.close();
  });

  /** The board finds its fleet behind the proxy. */
  function redirect(): void {
    const path = join(rig.path('board'), 'identity.json');
    const identity = JSON.parse(readFileSync(path, 'utf8')) as { mqtt: { url: string } };
    identity.mqtt.url = `mqtt://${link.hostAddress}:${proxy.port}`;
    writeFileSync(path, JSON.stringify(identity), { mode: 0o600 });
  }

  async function startBoard(transport: string): Promise<void> {
    const directory = rig.path('board');
    mkdirSync(directory, { recursive: true });
    const config = `${directory}.yaml`;
    // Telemetry and the like would be counted too.
    const quiet = ['telemetry:', '  intervalSeconds: 3600', 'delivery:', `  transport: ${transport}`, ''];
    const source = { url: CLIP, pacing: 'realtime', loop: true } as const;
    writeFileSync(config, boardConfig({ directory, httpPort: 8081, source }) + quiet.join('\n'), { mode: 0o600 });
    const [command, ...args] = [...link.prefix, process.execPath, AGENT_CLI, 'run', '--config', config];
    rig.start({ name: `board-${transport}`, command, args });
    await waitFor('the board to come online', () => observer.reports.length > 0, {
      timeoutMs: 60_000,
      guard: () => rig.assertRunning(),
    });
  }

  it('completes over MQTT, for little more on the wire than the missing chunks', async () => {
    proxy = await RestlessProxy.start(link.hostAddress, ports[1], { periodMs: 10_000, stallMs: 2000 });
    redirect();
    await startBoard('mqtt');
    await pause(3000);
    const { bytes, manifest } = await packDirectory(INT8_PACKAGE);
    await server.client.publishRelease(bytes);
    const before = { ...link.counters(), ...proxy.passed, cuts: proxy.cuts };
    const start = performance.now();
    const generation = await server.client.assign(DEVICE, manifest.name, manifest.version);
    const seen = (phases: string[]) =>
      observer.reports.find(({ report }) => report.generation === generation && phases.includes(report.phase));
    await waitFor(
      'the end of the download',
      () => seen(['VERIFYING', 'STAGED', 'SELF_TEST', 'TRIAL', 'COMMITTED', 'FAILED']),
      {
        timeoutMs: 300_000,
        guard: () => rig.assertRunning(),
      },
    );
    const after = { ...link.counters(), ...proxy.passed, cuts: proxy.cuts };
    const seconds = (performance.now() - start) / 1000;
    const ended = await waitFor('the commit', () => seen(['COMMITTED', 'FAILED', 'ROLLED_BACK', 'INCONCLUSIVE']), {
      timeoutMs: 240_000,
    });
    const response = await fetch(`${server.httpUrl}/api/v1/releases/${manifest.name}/${manifest.version}`, {
      headers: { authorization: `Bearer ${server.adminToken}` },
    });
    const missing = missingBytes(((await response.json()) as { descriptor: ReleaseDescriptor }).descriptor);
    const figures = {
      missing,
      received: after.received - before.received,
      sent: after.sent - before.sent,
      payloadToBoard: after.toBoard - before.toBoard,
      payloadFromBoard: after.fromBoard - before.fromBoard,
      cuts: after.cuts - before.cuts,
      seconds: Math.round(seconds),
      reported: ended.report.delivery,
    };
    const share = (figures.received + figures.sent) / missing;
    console.info(`slow link, MQTT: ${share.toFixed(3)} of the missing chunks on the wire`, figures);
    expect(ended.report.phase).toBe('COMMITTED');
    expect(figures.cuts).toBeGreaterThan(2);
    expect(figures.received / missing).toBeLessThan(1.3);
  }, 600_000);
});

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { scratchFolder, until } from '../agent/test/fleet-fixture.js';
import { enrollBoard } from '../benchmarks/src/rig/board.js';
import { ForgedFleet } from './support/forged-fleet.js';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const STILL = readFileSync(at('../models/media/stills/still_00.jpg'));
const DETECTOR = at('../models/zoo/person-detector-int8');
const CLASSIFIER = at('../models/zoo/person-classifier-int8');

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** An HTTP camera; `most` viewers were connected at once. */
async function camera() {
  const viewers = new Set<ServerResponse>();
  const state = { most: 0, viewers, url: '' };
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'multipart/x-mixed-replace; boundary=frame' });
    viewers.add(response);
    state.most = Math.max(state.most, viewers.size);
    response.on('close', () => viewers.delete(response));
  });
  const timer = setInterval(() => {
    for (const viewer of viewers) {
      viewer.write(`--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ${STILL.length}\r\n\r\n`);
      viewer.write(STILL);
      viewer.write('\r\n');
    }
  }, 100);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    clearInterval(timer);
    for (const viewer of viewers) viewer.destroy();
    server.close();
  });
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/video`;
  return state;
}

function run(config: string): { child: ChildProcess; logged(): Record<string, unknown>[] } {
  const child = spawn(process.execPath, [at('../agent/dist/cli.js'), 'run', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  cleanups.push(() => new Promise<void>((resolve) => child.once('exit', () => resolve()) && child.kill('SIGKILL')));
  const lines = () => text.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
  return { child, logged: () => lines().map((line) => JSON.parse(line) as Record<string, unknown>) };
}

it('the camera follows a committed model of another input size, and no frame is missed', {
  timeout: 90_000,
}, async () => {
  const fleet = await ForgedFleet.start();
  cleanups.push(() => fleet.close());
  const source = await camera();
  const data = scratchFolder();
  await enrollBoard(fleet.httpsUrl, fleet.token, data, fleet.deviceId);
  const config = join(scratchFolder(), 'board.yaml');
  const sections = { source: { url: source.url }, model: { directory: DETECTOR }, data: { directory: data } };
  writeFileSync(config, JSON.stringify({ ...sections, http: { port: 0 } }));
  const { logged } = run(config);
  const listening = await until('the agent', () => logged().find(({ msg }) => msg === 'listening'), 30_000);
  const get = async (path: string) => (await fetch(new URL(path, listening.http as string))).json();
  await until(
    'a report of live frames',
    () => fleet.reports.find(({ active }) => (active?.framesRun ?? 0) > 10),
    40_000,
  );
  expect(await get('/model/info')).toMatchObject({ input: { width: 320 } });

  // Speed is not what is looked at: the machine may be busy.
  const { descriptor } = await fleet.publish(CLASSIFIER);
  const trial = { minFrames: 10, compareEvery: 2, maxLatencyRatio: 100, deadlineMs: 5000 };
  await fleet.desire(descriptor, { trial });
  await until('the commit', () => fleet.reports.some(({ phase }) => phase === 'COMMITTED'), 40_000);
  const taken = () => logged().find(({ msg }) => `${msg}`.startsWith('capture taken over'));
  expect(await until('the hand-over', taken, 30_000)).toMatchObject({ width: 96, height: 96 });
  await until('the first capture to be gone', () => source.viewers.size === 1);
  expect(source.most).toBe(2);
  expect(await get('/model/info')).toMatchObject({ name: 'person-classifier', input: { width: 96, height: 96 } });
  const framesOf = async () => ((await get('/health')) as { detector: { framesProcessed: number } }).detector;
  const { framesProcessed } = await framesOf();
  let now = framesProcessed;
  while (now < framesProcessed + 10) now = (await framesOf()).framesProcessed;
  const { restarts, drops } = (await framesOf()) as unknown as { restarts: number; drops: Record<string, number> };
  // A gap in the frames' numbers would show as an overrun.
  expect([restarts, drops.overrun]).toEqual([0, undefined]);
});

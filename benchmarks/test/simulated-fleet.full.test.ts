import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { dataFolder, dropTemplate, start, until, zooPackage } from '../../fleet-server/test/server-fixture.js';
import { FleetClient, type FleetRelease } from '../src/clients/fleet-client.js';
import { QUICK_TIMING } from '../src/fleet/sim/behaviour.js';
import { boardIds, enrollBoards } from '../src/fleet/sim/enroll-boards.js';
import { SimulatedFleet } from '../src/fleet/sim/simulated-fleet.js';

let server: Awaited<ReturnType<typeof start>>;
let api: FleetClient;
let directory: string;
const releases: FleetRelease[] = [];
/** Far apart, so that on a busy machine too there are moments at which all are acknowledged. */
const EVENT_MS = 500;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory);
  api = new FleetClient(server.httpUrl, made.adminToken);
  for (const which of ['fp32', 'int8'] as const) {
    const { bytes } = await zooPackage(which);
    releases.push(await api.publishRelease(bytes));
  }
});

afterAll(async () => {
  await server?.close();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  await dropTemplate();
});

async function newFleet(prefix: string, count: number, options: object = {}): Promise<SimulatedFleet> {
  const identities = await enrollBoards({
    ...{ httpsUrl: server.httpsUrl, authority: server.authority, deviceIds: boardIds(count, prefix) },
    token: () => api.enrollmentToken(),
    hardwareClass: () => 'generic-x64',
  });
  const fleet = new SimulatedFleet({ identities, timing: QUICK_TIMING, ...options });
  await fleet.start();
  await fleet.connected();
  return fleet;
}

it('verifies and installs what it is assigned, as the server sees it', async () => {
  const fleet = await newFleet('good', 5);
  try {
    const ids = fleet.boards.map((board) => board.deviceId);
    const inSync = async () => (await Promise.all(ids.map((id) => api.device(id)))).every((device) => device.inSync);
    await api.assignAll(ids, releases[0].name, releases[0].version);
    await until('all to run the first release', inSync);
    await api.assignAll(ids, releases[1].name, releases[1].version);
    await until('all to run the second release', inSync);
    const { counters, running, signaturesPerBoard, hashesPerBoard } = fleet.tally();
    expect(running).toEqual({ [releases[1].digest]: 5 });
    expect(counters).toMatchObject({ committed: 10, failed: 0, rolledBack: 0, desiredRefused: 0 });
    // Each by itself: two envelopes, two descriptions with five roles each; files in chunks beside descriptor and certificate.
    expect(signaturesPerBoard.least).toBeGreaterThanOrEqual(12);
    expect(hashesPerBoard.least).toBeGreaterThan(10);
  } finally {
    await fleet.stop();
  }
});

it('goes back to the old model when a trial fails, says why, and loses no event', async () => {
  const faults = { releases: { [releases[1].digest]: { share: 1, code: 'TRIAL_TOO_SLOW' } }, duplicates: 1 };
  const model = { release: releases[0], precision: 'fp32' };
  const fleet = await newFleet('bad', 2, { faults, model, timing: { ...QUICK_TIMING, eventMs: EVENT_MS } });
  try {
    const [id] = fleet.boards.map((board) => board.deviceId);
    await api.assign(id, releases[1].name, releases[1].version);
    const reported = await until('the report of the failure', async () => {
      const { reported } = await api.device(id);
      return reported?.phase === 'ROLLED_BACK' ? reported : null;
    });
    expect(reported.error).toMatchObject({ code: 'TRIAL_TOO_SLOW' });
    expect(reported.active?.release).toMatchObject({ digest: releases[0].digest });
    await until('events to be acknowledged', () => {
      const { counters, unacknowledged } = fleet.tally();
      return counters.eventsSent >= 4 && unacknowledged === 0;
    });
  } finally {
    await fleet.stop();
  }
});

it('comes back after a restart with a new boot, and knows what it ran', async () => {
  const fleet = await newFleet('back', 1, { model: { release: releases[0], precision: 'fp32' } });
  try {
    const [board] = fleet.boards;
    const presence = async () => (await api.device(board.deviceId)).presence;
    const online = async () => {
      const now = await presence();
      return now?.online === true ? now : null;
    };
    const before = await until('the first birth', online);
    await board.stop();
    await until('the good-bye', async () => (await presence())?.online === false);
    await board.start();
    const after = await until('the second birth', online);
    expect(after.bootId).not.toBe(before.bootId);
    expect(board.running?.digest).toBe(releases[0].digest);
  } finally {
    await fleet.stop();
  }
});

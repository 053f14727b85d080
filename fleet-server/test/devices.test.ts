import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import {
  type Command,
  configurationDigest,
  type Desired,
  deviceTopic,
  type EnrollResponse,
  encodeMessage,
} from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  dataFolder,
  dropTemplate,
  holdAnswersToSchemas,
  Listener,
  newBoot,
  report,
  runCli,
  start,
  until,
  zooPackage,
} from './server-fixture.js';

holdAnswersToSchemas();

let directory: string;
let server: RunningServer;
let api: Api;
const enrolled = new Map<string, EnrollResponse>();
let int8: Awaited<ReturnType<typeof zooPackage>>;

interface Shown {
  id: string;
  tags: string[];
  pending: boolean;
  role: string;
  desired: { generation: number; release: { version: string } | null } | null;
  configuration: { wanted: string | null; reported: unknown };
}

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory, { presence: { offlineSeconds: 0 } });
  api = new Api(server.httpUrl, made.adminToken);
  for (const id of ['cellar-1', 'roof-1', 'roof-2']) enrolled.set(id, await api.enroll(id));
  int8 = await zooPackage('int8');
  await api.call('POST', '/api/v1/releases', int8.bytes);
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

const ok = async (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> => {
  const answer = await api.call(method, `/api/v1${path}`, body);
  expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
  return answer.body;
};
const ids = async (query: string) => ((await ok('GET', `/devices?${query}`)).items as Shown[]).map(({ id }) => id);
const one = async (id: string) => (await ok('GET', `/devices/${id}`)) as unknown as Shown;
const opened = (bytes: Buffer) =>
  JSON.parse(Buffer.from(JSON.parse(bytes.toString()).payload, 'base64').toString('utf8')) as unknown;
const born = async (id: string, bootId: string) => {
  const board = await Listener.device(enrolled.get(id)!);
  const birth = encodeMessage('presence', { bootId, online: true });
  await board.client.subscribeAsync([deviceTopic(id, 'commands'), deviceTopic(id, 'desired')], { qos: 1 });
  await board.client.publishAsync(deviceTopic(id, 'presence'), birth, { qos: 1, retain: true });
  return board;
};

describe('lists of boards', () => {
  it('come in pages and are narrowed by tags, names, groups and what boards do', async () => {
    await ok('PATCH', '/devices/roof-1', { tags: ['roof', 'site=north', 'roof'], name: 'Above the door' });
    await ok('PATCH', '/devices/roof-2', { tags: ['roof'], timeZone: 'Europe/Berlin' });
    const first = await ok('GET', '/devices?limit=2');
    expect((first.items as Shown[]).map(({ id }) => id)).toEqual(['cellar-1', 'roof-1']);
    const second = await ok('GET', `/devices?limit=2&cursor=${first.next}`);
    expect([(second.items as Shown[]).map(({ id }) => id), second.next]).toEqual([['roof-2'], null]);
    expect(await ids('tag=roof')).toEqual(['roof-1', 'roof-2']);
    expect(await ids('tag=roof&tag=site%3Dnorth')).toEqual(['roof-1']);
    expect(await ids('prefix=ABOVE')).toEqual(['roof-1']);
    expect(await ids('prefix=_')).toEqual([]);
    expect(await ids('online=true')).toEqual([]);
    await ok('PUT', '/groups/roofs', { selector: { tags: ['roof'], withoutTags: ['site=north'] } });
    expect(await ids('group=roofs')).toEqual(['roof-2']);
    await ok('PUT', '/groups/half', { selector: { share: { upTo: 0.5, salt: 's' } } });
    const half = await ids('group=half');
    expect(half.length + (await ids('group=nowhere')).length).toBe(half.length);
    expect(await ok('GET', '/groups/roofs')).toMatchObject({ name: 'roofs', counts: { total: 1 } });
    expect(await ok('GET', '/devices/counts')).toMatchObject({
      total: 3,
      online: 0,
      byHardwareClass: { 'generic-x64': 3 },
    });
    for (const [path, body, status] of [
      ['/devices/roof-1', { timeZone: 'Mars/Base' }, 422],
      ['/devices/roof-1', {}, 400],
      ['/devices/nobody', { name: 'x' }, 404],
    ] as const)
      expect((await api.call('PATCH', `/api/v1${path}`, body)).status).toBe(status);
    expect((await api.call('GET', '/api/v1/devices?cursor=abc')).body).toMatchObject({ code: 'CURSOR_INVALID' });
  });
});

describe('a configuration', () => {
  const forGroup = {
    labels: ['person'],
    zones: [
      {
        name: 'gate',
        polygon: [
          [0, 0],
          [1, 0],
          [1, 1],
        ],
      },
    ],
  };
  const own = { thresholds: { person: 0.7 } };

  it('reaches boards with the next generation and leaves alone what they run', async () => {
    const assigned = { devices: ['roof-2'], name: int8.name, version: int8.version, trial: { minFrames: 3 } };
    await ok('POST', '/assignments', assigned);
    expect(await ok('PUT', '/groups/roofs/configuration', { configuration: forGroup })).toMatchObject({
      told: 1,
      version: 1,
    });
    const board = await born('roof-2', newBoot());
    const desired = async () => opened(await board.fetch(deviceTopic('roof-2', 'desired'))) as Desired;
    expect(await desired()).toMatchObject({
      generation: 2,
      release: { version: int8.version },
      trial: { minFrames: 3 },
      configuration: forGroup,
    });
    expect((await one('roof-2')).configuration.wanted).toBe(configurationDigest(forGroup as never));
    expect((await one('cellar-1')).configuration.wanted).toBeNull();
    // The nearest one counts, and an assignment keeps it.
    expect(await ok('PUT', '/devices/roof-2/configuration', { configuration: own })).toMatchObject({ told: 1 });
    await ok('POST', '/assignments', { ...assigned, retry: true });
    await until('the assignment', async () => (await desired()).generation === 4);
    expect(await desired()).toMatchObject({ retry: true, configuration: own });
    expect(await ok('DELETE', '/devices/roof-2/configuration')).toMatchObject({
      told: 1,
      version: 2,
      configuration: null,
    });
    await until('the group again', async () => (await desired()).generation === 5);
    expect((await desired()).configuration).toEqual(forGroup);
    expect((await ok('GET', '/devices/roof-2/configuration/versions')).items).toHaveLength(2);
    await board.end();
  });

  it('follows the tags of boards', async () => {
    await ok('PATCH', '/devices/cellar-1', { tags: ['roof'] });
    await until('the group’s configuration', async () => (await one('cellar-1')).configuration.wanted !== null);
    expect((await one('cellar-1')).desired).toMatchObject({ generation: 1, release: null });
    await ok('PATCH', '/devices/cellar-1', { tags: [] });
    await until('none', async () => (await one('cellar-1')).configuration.wanted === null);
  });

  it('that makes no sense is refused, and no release may drop a label that it needs', async () => {
    const refused = async (configuration: unknown) =>
      (await api.call('PUT', '/api/v1/configuration', { configuration })).body as unknown as {
        code: string;
        reason?: string;
      };
    expect(await refused({ rules: [{ name: 'a', zone: 'b' }] })).toMatchObject({
      code: 'CONFIGURATION_INVALID',
      reason: 'PLACE_UNKNOWN',
    });
    expect(await refused({ colour: 'red' })).toMatchObject({ code: 'REQUEST_INVALID' });
    await ok('PUT', '/devices/cellar-1/configuration', { configuration: { labels: ['unicorn'] } });
    const body = { devices: ['cellar-1'], name: int8.name, version: int8.version };
    expect((await api.call('POST', '/api/v1/assignments', body)).body).toMatchObject({ code: 'LABELS_MISSING' });
    await ok('DELETE', '/devices/cellar-1/configuration');
  });

  it('that several change at the same moment gets one version from each', async () => {
    await ok('PUT', '/groups/nobody', { selector: { tags: ['nobody'] } });
    const configuration = { thresholds: { person: 0.5 } };
    const changes = Array.from({ length: 12 }, () => ok('PUT', '/groups/nobody/configuration', { configuration }));
    const versions = (await Promise.all(changes)).map(({ version }) => version as number).sort((x, y) => x - y);
    expect(versions).toEqual(versions.map((_, index) => versions[0] + index));
  });
});

describe('commands', () => {
  it('are signed, sent again to a board that was away, and keep its answer', async () => {
    const sent = (await ok('POST', '/devices/roof-1/commands', { command: { kind: 'logs', lines: 5 } })) as {
      id: string;
    };
    expect(sent).toMatchObject({ state: 'sent' });
    const boot = newBoot();
    const board = await born('roof-1', boot);
    const command = opened(await board.fetch(deviceTopic('roof-1', 'commands'))) as Command;
    expect(command).toMatchObject({ id: sent.id, deviceId: 'roof-1', command: { kind: 'logs', lines: 5 } });
    const reply = {
      bootId: boot,
      sequence: 1,
      at: new Date().toISOString(),
      commandId: sent.id,
      ok: true,
      result: ['a line'],
    };
    await board.client.publishAsync(deviceTopic('roof-1', 'replies'), encodeMessage('replies', reply), { qos: 1 });
    const show = () => ok('GET', `/devices/roof-1/commands/${sent.id}`);
    await until('the answer', async () => (await show()).state === 'answered');
    expect(await show()).toMatchObject({ ok: true, result: ['a line'], createdBy: expect.any(String) });
    // Another board's answer, or a second one, changes nothing.
    const other = await born('roof-2', newBoot());
    const forged = { ...reply, sequence: 9, ok: false };
    await other.client.subscribeAsync(deviceTopic('roof-2', 'acks'), { qos: 1 });
    await other.client.publishAsync(deviceTopic('roof-2', 'replies'), encodeMessage('replies', forged), { qos: 1 });
    await other.fetch(deviceTopic('roof-2', 'acks'));
    expect(await show()).toMatchObject({ ok: true });
    expect((await ok('GET', '/devices/roof-1/commands')).items).toHaveLength(1);
    expect((await api.call('GET', `/api/v1/devices/roof-2/commands/${sent.id}`)).status).toBe(404);
    for (const [id, command, status] of [
      ['nobody', { kind: 'identify' }, 404],
      ['roof-1', { kind: 'reboot' }, 400],
      ['roof-1', { kind: 'logs', lines: 100_000 }, 400],
    ] as const)
      expect((await api.call('POST', `/api/v1/devices/${id}/commands`, { command })).status).toBe(status);
    await board.end();
    await other.end();
  });
});

describe('coming and going', () => {
  it('asks for approval where the token does, gives role and tags, and counts its uses', async () => {
    const made = (await ok('POST', '/enrollment-tokens', {
      ...{ uses: 2, role: 'lab', tags: ['shelf'], approval: true, note: 'the lab' },
    })) as { id: string; token: string };
    const answer = await api.requestEnrollment(made.token, 'lab-1');
    expect(answer).toMatchObject({ status: 200, body: { pending: true } });
    enrolled.set('lab-1', answer.body as unknown as EnrollResponse);
    expect(await one('lab-1')).toMatchObject({ pending: true, role: 'lab', tags: ['shelf'] });
    const assign = { devices: ['lab-1'], name: int8.name, version: int8.version };
    expect((await api.call('POST', '/api/v1/assignments', assign)).status).toBe(404);
    const asked = await api.call('POST', '/api/v1/devices/lab-1/commands', { command: { kind: 'identify' } });
    expect(asked.body).toMatchObject({ code: 'DEVICE_PENDING' });
    expect(await ids('pending=true')).toEqual(['lab-1']);
    // It may report all the same.
    const boot = newBoot();
    const board = await born('lab-1', boot);
    await board.client.publishAsync(deviceTopic('lab-1', 'reported'), encodeMessage('reported', report(boot, 1)), {
      qos: 1,
    });
    await until('its report', async () => ((await one('lab-1')) as unknown as { reported: unknown }).reported !== null);
    await board.end();
    expect(await ok('POST', '/devices/lab-1/approve')).toMatchObject({ pending: false });
    expect((await api.call('POST', '/api/v1/devices/lab-1/approve')).body).toMatchObject({
      code: 'DEVICE_NOT_PENDING',
    });
    await ok('POST', '/assignments', assign);
    const [listed] = (await ok('GET', '/enrollment-tokens')).items as { id: string; used: number; note: string }[];
    expect(listed).toMatchObject({ id: made.id, used: 1, uses: 2, note: 'the lab', usedBy: 'lab-1' });
    expect(JSON.stringify(listed)).not.toContain(made.token.split('.')[0]);
    expect((await api.requestEnrollment(made.token, 'lab-2')).status).toBe(200);
    expect((await api.requestEnrollment(made.token, 'lab-3')).body).toMatchObject({ code: 'ENROLLMENT_TOKEN_INVALID' });
    const spare = (await ok('POST', '/enrollment-tokens', { uses: 5 })) as { id: string; token: string };
    await ok('DELETE', `/enrollment-tokens/${spare.id}`);
    expect((await api.requestEnrollment(spare.token, 'lab-3')).body).toMatchObject({
      code: 'ENROLLMENT_TOKEN_INVALID',
    });
  });

  it('takes a board out, clears what was retained for it, and begins anew with a higher generation', async () => {
    const generation = (await one('roof-2')).desired?.generation ?? 0;
    const gone = await ok('POST', '/devices/roof-2/decommission');
    expect(gone).toMatchObject({ desired: null, revokedAt: expect.any(String), decommissionedAt: expect.any(String) });
    expect(await ids('prefix=roof')).toEqual(['roof-1']);
    expect(await ids('prefix=roof&decommissioned=true')).toEqual(['roof-2']);
    const operator = await Listener.operator(server, api.token);
    await operator.client.subscribeAsync(
      ['desired', 'reported', 'presence'].map((kind) => deviceTopic('roof-2', kind as never)),
      { qos: 1 },
    );
    // Retained messages come before what is published later.
    await ok('POST', '/assignments', { devices: ['roof-1'], name: int8.name, version: int8.version });
    await operator.fetch(deviceTopic('roof-1', 'desired'));
    expect([...operator.received.keys()].filter((topic) => topic.includes('roof-2'))).toEqual([]);
    await operator.end();
    enrolled.set('roof-2', await api.enroll('roof-2'));
    expect(await one('roof-2')).toMatchObject({
      tags: [],
      timeZone: null,
      decommissionedAt: null,
      revokedAt: null,
      reported: null,
    });
    await ok('POST', '/assignments', { devices: ['roof-2'], name: int8.name, version: int8.version });
    expect((await one('roof-2')).desired?.generation).toBe(generation + 1);
  });

  it('tells of boards that come and go', async () => {
    const boot = newBoot();
    const will = {
      topic: deviceTopic('roof-1', 'presence'),
      payload: encodeMessage('presence', { bootId: boot, online: false }),
      qos: 1 as const,
      retain: true,
    };
    const board = await Listener.device(enrolled.get('roof-1')!, { will });
    await board.client.publishAsync(will.topic, encodeMessage('presence', { bootId: boot, online: true }), {
      qos: 1,
      retain: true,
    });
    await until('its birth', async () => (await ids('online=true')).includes('roof-1'));
    board.client.stream.destroy();
    await until('its will', async () => !(await ids('online=true')).includes('roof-1'));
    expect((await ok('GET', '/devices/roof-1')).lastSeenAt).not.toBeNull();
  });
});

describe('the command line', () => {
  const vigie = async (...args: string[]) => {
    const env = { VIGIE_SERVER: server.httpUrl, VIGIE_TOKEN: api.token ?? '' };
    const { code, stdout, stderr } = await runCli('operator-cli.js', ['--json', ...args], env);
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout) as Record<string, never>;
  };

  it('lists, counts, groups, configures, asks and lets in', async () => {
    await vigie('device', 'set', 'roof-1', '--tags', 'roof', 'cli');
    expect((await vigie('device', 'list', '--tag', 'roof', 'cli')).items).toHaveLength(1);
    expect((await vigie('device', 'count')).total).toBeGreaterThanOrEqual(3);
    const file = join(directory, 'group.json');
    await writeFile(file, JSON.stringify({ selector: { tags: ['cli'] } }));
    expect(await vigie('group', 'set', 'by-cli', file)).toMatchObject({ name: 'by-cli' });
    await writeFile(file, JSON.stringify({ thresholds: { person: 0.5 } }));
    expect(await vigie('device', 'configure', 'group:by-cli', file)).toMatchObject({ told: 1 });
    expect(await vigie('device', 'configuration', 'group:by-cli')).toMatchObject({ version: 1 });
    expect(await vigie('device', 'configure', 'group:by-cli', '--remove')).toMatchObject({ told: 1, version: 2 });
    await vigie('group', 'remove', 'by-cli');
    expect((await vigie('enrollment', 'create', '--uses', '3', '--approval')).token).toMatch(/^vge_/);
    const [token] = (await vigie('enrollment', 'list')).items as unknown as { id: string }[];
    await vigie('enrollment', 'revoke', token.id);
    expect((await vigie('device', 'telemetry', 'roof-1')).items).toEqual([]);
    expect((await vigie('device', 'drift')).items).toEqual([]);
    expect((await vigie('event', 'list', '--label', 'person')).items).toEqual([]);
  });
});

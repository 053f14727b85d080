import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestBoard } from './rollout-boards.js';
import {
  Api,
  dataFolder,
  dropTemplate,
  type ServerProcess,
  spawnServer,
  temporaryFolder,
  until,
  zooPackage,
} from './server-fixture.js';
import { type ReceivedCall, WebhookReceiver } from './webhook-receiver.js';

const GATE = {
  schema: 'vigie.gate/1',
  name: 'edge',
  certifies: [{ evidence: { arch: ['arm64'] }, hardwareClasses: ['generic-x64'] }],
  rules: [{ require: 'fps > 10' }],
};

interface Release {
  name: string;
  version: string;
  digest: string;
}

let directory: string;
let settings: string;
let server: ServerProcess;
let token: string;
let receiver: WebhookReceiver;
let fp32: Release;
let int8: Release;
const boards: TestBoard[] = [];

async function call<T>(method: string, path: string, body?: unknown, status = 200): Promise<T> {
  const answer = await new Api(server.http, token).call(method, `/api/v1${path}`, body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(status);
  return answer.body as unknown as T;
}

async function restart(): Promise<void> {
  await server.kill('SIGKILL');
  server = await spawnServer(directory, ['--config', settings]);
}

const measured = ({ name, version, digest }: Release, fps: number) => ({
  ...{ schema: 'vigie.benchmark/1', benchmark: 'run', at: '2026-11-21T07:00:00.000Z', samples: 300, metrics: { fps } },
  release: { name, version, digest },
  platform: { arch: 'arm64', cpu: 'Cortex-A76', cores: 4, node: '20', runtime: 'ort', emulated: false },
});
/** Messages about alerts with this subject. */
const noticesOf = (subject: string) =>
  receiver.calls.filter(({ json }) =>
    (json.alerts as { subject: string }[] | undefined)?.some((alert) => alert.subject === subject),
  );
const textOf = ({ json }: ReceivedCall) => (json.alerts as { text: string }[])[0].text;
const idOf = ({ headers }: ReceivedCall) => headers['webhook-id'];
const rollout = (changes: object = {}) => ({
  ...{ release: { name: int8.name, version: int8.version }, selector: {}, follow: false },
  waves: [{ name: 'all', size: { share: 1 }, soakSeconds: 0, errors: { count: 0 } }],
  ...changes,
});

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  token = made.adminToken;
  const folder = await temporaryFolder();
  settings = join(folder, 'settings.json');
  const notifications = { privateTargets: ['127.0.0.0/8'], scanSeconds: 1, timeoutSeconds: 1 };
  await writeFile(settings, JSON.stringify({ registry: { policy: 'gates' }, notifications }));
  receiver = await WebhookReceiver.listen();
  server = await spawnServer(directory, ['--config', settings]);
  await call('PUT', '/channels/ops', { type: 'webhook', url: `${receiver.url}/ops` });
  for (const kind of ['gate-failed', 'rollout-paused'])
    await call('PUT', `/alert-rules/${kind}`, { kind, channels: ['ops'], severity: 'critical' });
  for (const name of ['edge', 'night']) await call('PUT', `/gates/${name}`, { policy: { ...GATE, name } }, 201);
  const upload = async (which: 'fp32' | 'int8') =>
    call<Release>('POST', '/releases', (await zooPackage(which)).bytes, 201);
  fp32 = await upload('fp32');
  int8 = await upload('int8');
  for (const id of ['board-1', 'board-2']) boards.push(await TestBoard.enroll(new Api(server.http, token), id));
}, 240_000);

afterAll(async () => {
  await Promise.all(boards.map((board) => board.end()));
  await receiver?.close();
  await server?.kill('SIGTERM');
  await rm(join(directory, '..'), { recursive: true, force: true });
  await rm(join(settings, '..'), { recursive: true, force: true });
  await dropTemplate();
});

describe('what stops by itself is told', { timeout: 240_000 }, () => {
  it('of a gate that a release fails: once, with the figure; and not of the gate that it passes', async () => {
    const lenient = { ...GATE, name: 'night', rules: [{ require: 'fps > 4' }] };
    await call('PUT', '/gates/night', { policy: lenient });
    await call('POST', '/benchmarks', measured(fp32, 4.8), 201);
    const subject = `${fp32.name}@${fp32.version}/edge`;
    const notice = await until('the alert of the gate', () => noticesOf(subject)[0]);
    expect(notice.json).toMatchObject({ type: 'alert.raised', rule: { name: 'gate-failed', severity: 'critical' } });
    expect(textOf(notice)).toContain(`gate edge of ${fp32.name}@${fp32.version}: fail`);
    expect(textOf(notice)).toContain('fps is 4.8 FPS');
    await call('POST', '/benchmarks', measured(int8, 12.6), 201);
    await until('INT8 to be released', async () => {
      const { state } = await call<{ state: string }>('GET', `/releases/${int8.name}/${int8.version}`);
      return state === 'released';
    });
    const { items } = await call<{ items: { subject: string }[] }>('GET', '/alerts?state=raised&rule=gate-failed');
    expect(items.map((alert) => alert.subject)).toEqual([subject]);
    expect(noticesOf(subject)).toHaveLength(1);
  });

  it('of a rollout that turns back, with the reason; again with the same id when the server dies while it tells', async () => {
    for (const board of boards) board.behaviours.set(int8.version, { kind: 'fails', code: 'TRIAL_TOO_SLOW' });
    await Promise.all(boards.map((board) => board.connect(server.mqtts)));
    // The receiver takes the message and gives no answer: whether it has arrived, nobody knows.
    receiver.answer = () => null;
    const { id } = await call<{ id: number }>('POST', '/rollouts?start=true', rollout(), 201);
    const first = await until('the alert of the rollout', () => noticesOf(String(id))[0], 60_000);
    await Promise.all(boards.map((board) => board.drop()));
    await server.kill('SIGKILL');
    receiver.answer = () => 204;
    server = await spawnServer(directory, ['--config', settings]);
    const again = await until('the same message', () => noticesOf(String(id))[1], 90_000);
    expect([idOf(again), again.body]).toEqual([idOf(first), first.body]);
    expect(again.json).toMatchObject({ type: 'alert.raised', rule: { name: 'rollout-paused' }, count: 1 });
    expect(textOf(again)).toMatch(/^rollout \d+: (turning-back|turned-back): .*[12] boards failed, 0 may/);
    await until('the delivery to be settled', async () => {
      const { items } = await call<{ items: { state: string }[] }>('GET', '/deliveries?channel=ops&state=pending');
      return items.length === 0;
    });
    expect(new Set(noticesOf(String(id)).map(idOf)).size).toBe(1);
  });

  it('of a rollout that is stopped, although the server dies before anything of it was sent', async () => {
    // Nobody is online: it waits.
    const { id } = await call<{ id: number }>('POST', '/rollouts?start=true', rollout(), 201);
    await call('POST', `/rollouts/${id}/pause`, { reason: 'cyclists' });
    await restart();
    const notice = await until('the alert of the pause', () => noticesOf(String(id))[0], 60_000);
    expect(textOf(notice)).toBe(`rollout ${id}: paused: paused by first admin: cyclists`);
    // It ends when the rollout goes on, and whoever heard of it hears of that.
    await call('POST', `/rollouts/${id}/resume`);
    const over = await until('its end', () => noticesOf(String(id)).find(({ json }) => json.type === 'alert.cleared'));
    expect(textOf(over)).toContain(`rollout ${id}: running`);
    const raised = noticesOf(String(id)).filter(({ json }) => json.type === 'alert.raised');
    expect(new Set(raised.map(idOf)).size).toBe(1);
  });
});

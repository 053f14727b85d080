import { createHmac } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { deviceTopic, encodeMessage } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningServer } from '../src/main.js';
import {
  Api,
  dataFolder,
  dropTemplate,
  holdAnswersToSchemas,
  Listener,
  newBoot,
  start,
  until,
} from './server-fixture.js';
import { WebhookReceiver } from './webhook-receiver.js';

holdAnswersToSchemas();

let directory: string;
let server: RunningServer;
let api: Api;
let receiver: WebhookReceiver;
/** Added to the time, ms. */
let later = 0;

const notifications = { privateTargets: ['127.0.0.0/8'], scanSeconds: 1, timeoutSeconds: 2 };
const open = () => start(directory, { notifications }, () => new Date(Date.now() + later));

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await open();
  api = new Api(server.httpUrl, made.adminToken);
  receiver = await WebhookReceiver.listen();
}, 120_000);

afterAll(async () => {
  await receiver?.close();
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

const put = async (path: string, body: unknown) => {
  const answer = await api.call('PUT', `/api/v1${path}`, body);
  expect(answer.body).not.toHaveProperty('code');
  return answer.body as Record<string, never>;
};
const deliveries = async (query: string) =>
  (await api.call('GET', `/api/v1/deliveries?${query}`)).body.items as unknown as {
    id: number;
    state: string;
    kind: string;
    attempts: number;
    log: { status: number | null; error: string | null }[];
  }[];

describe('webhooks', () => {
  it('signs what it sends, shows its key once and never again', { timeout: 60_000 }, async () => {
    const made = await put('/channels/hook', { type: 'webhook', url: `${receiver.url}/in` });
    expect(made.signingKey).toMatch(/^whsec_/);
    const shown = (await api.call('GET', '/api/v1/channels')).body;
    expect(JSON.stringify(shown)).not.toContain((made.signingKey as string).slice(6));
    expect(shown.items[0]).toMatchObject({ name: 'hook', secrets: ['signingKey'] });

    expect((await api.call('POST', '/api/v1/channels/hook/test')).status).toBe(202);
    const call = await until('the test message', () => receiver.of('channel.test')[0]);
    const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signature } = call.headers;
    const key = Buffer.from((made.signingKey as string).slice(6), 'base64');
    expect(signature).toBe(`v1,${createHmac('sha256', key).update(`${id}.${at}.${call.body}`).digest('base64')}`);
    const [done] = await until('the log', async () => {
      const found = await deliveries('channel=hook');
      return found[0].state === 'delivered' ? found : null;
    });
    expect(done).toMatchObject({ state: 'delivered', attempts: 1, log: [{ status: 204, error: null }] });

    const again = await api.call('POST', `/api/v1/deliveries/${done.id}/replay`);
    expect(again.body).toMatchObject({ replayOf: done.id });
    const second = await until('the replay', () => receiver.of('channel.test')[1]);
    expect(second.body).toBe(call.body);
    expect(second.headers['webhook-id']).not.toBe(id);
  });

  it('tries again after a refusal, with the same id, and follows no redirect', { timeout: 60_000 }, async () => {
    const answers = [503, { status: 302, headers: { location: `${receiver.url}/elsewhere` } }, 200];
    receiver.answer = () => answers.shift() ?? 200;
    await put('/channels/shaky', { type: 'webhook', url: `${receiver.url}/shaky` });
    await api.call('POST', '/api/v1/channels/shaky/test');
    const done = await until('the third attempt', async () => {
      later += 60_000;
      const [found] = await deliveries('channel=shaky');
      return found.state === 'delivered' ? found : null;
    });
    expect(done.log.map(({ status }) => status)).toEqual([503, 302, 200]);
    const calls = receiver.calls.filter(({ url }) => url === '/shaky');
    expect(new Set(calls.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(receiver.calls.some(({ url }) => url === '/elsewhere')).toBe(false);
  });

  it('calls nothing private that was not allowed', { timeout: 60_000 }, async () => {
    await put('/channels/inside', { type: 'webhook', url: 'http://169.254.169.254/latest/meta-data' });
    await api.call('POST', '/api/v1/channels/inside/test');
    const [found] = await until('the attempt', async () => {
      const list = await deliveries('channel=inside');
      return list[0].attempts > 0 && list[0].log.length > 0 ? list : null;
    });
    expect(found.log[0].error).toMatch(/^TARGET_FORBIDDEN/);
    await api.call('DELETE', '/api/v1/channels/inside');
  });
});

describe('alerts', () => {
  it('tells once of a lost board, and again when it is back', { timeout: 90_000 }, async () => {
    await put('/channels/ops', { type: 'webhook', url: `${receiver.url}/ops`, events: ['alert.*'] });
    await put('/alert-rules/lost', { kind: 'device-lost', minutes: 10, severity: 'critical', channels: ['ops'] });
    const board = await api.enroll('board-1');
    const bootId = newBoot();
    const presence = deviceTopic('board-1', 'presence');
    const say = async (online: boolean) => {
      const listener = await Listener.device(board);
      await listener.client.publishAsync(presence, encodeMessage('presence', { bootId, online }), {
        qos: 1,
        retain: true,
      });
      return listener;
    };
    const raised = async () =>
      (await api.call('GET', '/api/v1/alerts?state=raised&rule=lost')).body.items as unknown as { id: number }[];
    await (await say(true)).end();
    await (await say(false)).end();
    await until('the board to be offline', async () => {
      const { presence } = (await api.call('GET', '/api/v1/devices/board-1')).body as {
        presence?: { online: boolean };
      };
      return presence?.online === false;
    });
    expect(await raised()).toEqual([]);
    later += 11 * 60_000;
    await until('the alert', async () => (await raised()).length === 1);
    const notice = await until('the notice', () =>
      receiver.calls.find(({ url, json }) => url === '/ops' && json.count),
    );
    expect(notice.json).toMatchObject({
      type: 'alert.raised',
      rule: { name: 'lost', severity: 'critical' },
      count: 1,
      alerts: [{ subject: 'board-1' }],
    });
    const [alert] = await raised();
    const acknowledged = await api.call('POST', `/api/v1/alerts/${alert.id}/acknowledge`, { note: 'on my way' });
    expect(acknowledged.body).toMatchObject({ acknowledged: { by: 'first admin', note: 'on my way' } });

    const back = await say(true);
    await until('the end', () =>
      receiver.calls.find(({ url, json }) => url === '/ops' && json.type === 'alert.cleared' && json.count),
    );
    await back.end();
    expect(await raised()).toEqual([]);
    const told = receiver.calls.filter(({ url, json }) => url === '/ops' && json.count);
    expect(told.map(({ json }) => json.type)).toEqual(['alert.raised', 'alert.cleared']);
    // The subscription to the activity log hears of them by itself.
    await until('the activity', () =>
      receiver.calls.find(({ json }) => json.type === 'alert.cleared' && json.activity),
    );
  });

  it('refuses rules that make no sense', async () => {
    const cases: [unknown, RegExp][] = [
      [{ kind: 'device-lost', threshold: 3 }, /threshold: a rule of kind device-lost has none/],
      [{ kind: 'fps-drop', threshold: 30 }, /threshold: 30 is not in 0.01..0.99/],
      [{ kind: 'gate-failed', selector: { tags: ['roof'] } }, /selector/],
      [{ kind: 'device-lost', channels: ['nobody'] }, /channels: there is no channel "nobody"/],
      [{ kind: 'device-lost', quiet: { from: '22:00', to: '07:00', timeZone: 'Mars/Base' } }, /quiet.timeZone/],
    ];
    for (const [body, detail] of cases) {
      const answer = await api.call('PUT', '/api/v1/alert-rules/wrong', body);
      expect([answer.status, answer.body.code]).toEqual([422, 'ALERT_RULE_INVALID']);
      expect(answer.body.detail).toMatch(detail);
    }
  });
});

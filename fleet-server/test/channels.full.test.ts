import { rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { Aedes } from 'aedes';
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import {
  Api,
  dataFolder,
  dropTemplate,
  type ServerProcess,
  spawnServer,
  temporaryFolder,
  until,
} from './server-fixture.js';
import { WebhookReceiver } from './webhook-receiver.js';

let directory: string;
let folder: string;
let adminToken: string;
let config: string;
let server: ServerProcess;
let api: Api;
let receiver: WebhookReceiver;
let smtp: SMTPServer;
let broker: { listener: Server; aedes: Aedes };
const mails: string[] = [];
const published: { topic: string; payload: string }[] = [];

const port = (listener: { address(): unknown }) => (listener.address() as { port: number }).port;

beforeAll(async () => {
  ({ dataDirectory: directory, adminToken } = await dataFolder());
  folder = await temporaryFolder();
  receiver = await WebhookReceiver.listen();
  smtp = new SMTPServer({
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: ({ username, password }, _session, done) =>
      done(password === 'mail secret' ? null : new Error('no'), { user: username }),
    onData: (stream, _session, done) => {
      let text = '';
      stream.on('data', (part) => {
        text += part;
      });
      stream.once('end', () => {
        mails.push(text);
        done();
      });
    },
  });
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', resolve));
  const aedes = await Aedes.createBroker({
    authenticate: (_client, username, password, done) =>
      done(null, username === 'vigie' && String(password) === 'mqtt secret'),
  });
  aedes.on('publish', ({ topic, payload }, client) => {
    if (client !== null) published.push({ topic, payload: String(payload) });
  });
  const listener = createServer(aedes.handle);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  broker = { listener, aedes };
  await writeFile(join(folder, 'password'), 'mail secret\n');
  config = join(folder, 'server.yaml');
  const mail = { url: `smtp://127.0.0.1:${port(smtp.server)}`, plain: true, from: 'vigie@example.org' };
  const smtpConfig = { ...mail, user: 'vigie', passwordFile: join(folder, 'password') };
  await writeFile(
    config,
    stringify({ notifications: { smtp: smtpConfig, privateTargets: ['127.0.0.0/8'], scanSeconds: 1 } }),
  );
  server = await spawnServer(directory, ['--config', config]);
  api = new Api(server.http, adminToken);
}, 180_000);

afterAll(async () => {
  await server?.kill('SIGKILL');
  await receiver?.close();
  await new Promise<void>((resolve) => smtp.close(() => resolve()));
  broker?.aedes.close();
  broker?.listener.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
  await dropTemplate();
});

const put = async (path: string, body: unknown) => {
  const answer = await api.call('PUT', `/api/v1${path}`, body);
  expect(answer.body).not.toHaveProperty('code');
};
const log = async (channel: string) =>
  (await api.call('GET', `/api/v1/deliveries?channel=${channel}`)).body.items as unknown as {
    id: number;
    state: string;
    log: { error: string | null }[];
  }[];

describe('channels', () => {
  it('reach a real mail server', { timeout: 60_000 }, async () => {
    await put('/channels/mail', { type: 'email', to: ['ops@example.org'] });
    await api.call('POST', '/api/v1/channels/mail/test');
    const mail = await until('the mail', () => mails[0]);
    expect(mail).toMatch(/^Subject: \[vigie\] channel\.test mail\r$/m);
    expect(mail).toMatch(/^To: ops@example\.org\r$/m);
    expect(mail).toMatch(/^Message-ID: <msg_\d+_/m);
  });

  it('reach a real broker, and say when it refuses', { timeout: 60_000 }, async () => {
    const channel = {
      type: 'mqtt',
      url: `mqtt://127.0.0.1:${port(broker.listener)}`,
      topic: 'site/vigie',
      username: 'vigie',
    };
    await put('/channels/bus', { ...channel, password: 'wrong' });
    await api.call('POST', '/api/v1/channels/bus/test');
    await until('the refusal', async () => (await log('bus'))[0].log[0]?.error?.startsWith('TARGET_REFUSED'));
    await put('/channels/bus', { ...channel, password: 'mqtt secret' });
    await api.call('POST', '/api/v1/channels/bus/test');
    const message = await until('the message', () => published.find(({ topic }) => topic === 'site/vigie'));
    expect(JSON.parse(message.payload)).toMatchObject({ type: 'channel.test', subject: 'bus' });
    expect(JSON.stringify((await api.call('GET', '/api/v1/channels')).body)).not.toContain('mqtt secret');
  });

  it('lose nothing when the server is killed between an event and its delivery', { timeout: 120_000 }, async () => {
    // The receiver takes requests and answers none: what is killed is an attempt under way.
    receiver.answer = () => null;
    await put('/channels/hook', { type: 'webhook', url: receiver.url, events: ['device.*'] });
    await api.enroll('board-1');
    await until('the attempt', () => receiver.of('device.enrolled').length > 0);
    await api.enroll('board-2');
    await server.kill('SIGKILL');
    receiver.answer = () => 204;
    server = await spawnServer(directory, ['--config', config]);
    api = new Api(server.http, adminToken);
    const subjects = () => new Set(receiver.of('device.enrolled').map(({ json }) => json.subject));
    await until(
      'both',
      async () => {
        const all = await log('hook');
        return all.length > 0 && all.every(({ state }) => state === 'delivered') && subjects().size === 2;
      },
      100_000,
    );
    // At least once: an attempt that was cut off came again under the same id.
    const first = receiver.of('device.enrolled').filter(({ json }) => (json.subject as string) === 'board-1');
    expect(first.length).toBeGreaterThanOrEqual(2);
    expect(new Set(first.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  });
});

import { execFile, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeMessage, deviceTopic, type MessageKind } from '@vigie/protocol';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enrollBoard } from '../benchmarks/src/rig/board.js';
import { waitFor } from '../benchmarks/src/rig/wait.js';
import { House } from './support/house.js';

/** Programs that are not ours and know nothing of us: Mosquitto's client, ffmpeg, a browser. */
describe('clients that are not ours', () => {
  const house = new House();
  beforeAll(() => house.start(), 120_000);
  afterAll(() => house.close());

  /** Where a screenshot goes: VIGIE_SCREENSHOTS, to look at it, or the folder that ends with the test. */
  const screenshot = (name: string): string => join(process.env.VIGIE_SCREENSHOTS ?? house.rig.directory, name);

  /** Runs a program to its end; rejects with what it wrote on stderr. */
  function run(program: string, args: string[]): Promise<{ stdout: string; stderr: string }> {
    return new Promise((resolve, reject) => {
      execFile(program, args, { timeout: 60_000, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
        if (error === null) resolve({ stdout, stderr });
        else reject(new Error(`${program}: ${error.message}\n${stderr}`));
      });
    });
  }

  it('mosquitto_sub reads reports, presence, telemetry and events of the device', async () => {
    const { hostname, port } = new URL(house.server.mqttUrl);
    const kinds = ['reported', 'presence', 'telemetry', 'events'] as const satisfies readonly MessageKind[];
    const topics = kinds.map((kind) => deviceTopic(house.deviceId, kind));
    const login = ['-h', hostname, '-p', port, '-u', 'operator', '-P', house.server.adminToken];
    const filters = topics.flatMap((topic) => ['-t', topic]);
    const client = spawn('mosquitto_sub', [...login, '-V', 'mqttv311', '-q', '1', '-F', '%t %p', ...filters]);
    try {
      let text = '';
      let complaint = '';
      client.stdout.on('data', (bytes: Buffer) => {
        text += bytes.toString();
      });
      client.stderr.on('data', (bytes: Buffer) => {
        complaint += bytes.toString();
      });
      await waitFor('a message of each kind', () => topics.every((topic) => text.includes(`${topic} {`)), {
        timeoutMs: 60_000,
        guard: () => {
          if (client.exitCode !== null) throw new Error(`mosquitto_sub ended: ${complaint}`);
        },
      });
      for (const line of text.split('\n').slice(0, -1)) {
        const kind = kinds[topics.indexOf(line.slice(0, line.indexOf(' ')))];
        const decoded = decodeMessage(kind, Buffer.from(line.slice(line.indexOf(' ') + 1)));
        expect(decoded.ok, line).toBe(true);
      }
    } finally {
      client.kill('SIGKILL');
    }
  }, 90_000);

  it('mosquitto_sub with a wrong token is refused, and an operator may publish nothing', async () => {
    const { hostname, port } = new URL(house.server.mqttUrl);
    const topic = deviceTopic(house.deviceId, 'desired');
    const at = ['-h', hostname, '-p', port, '-V', 'mqttv311', '-u', 'operator'];
    await expect(run('mosquitto_sub', [...at, '-P', 'wrong', '-C', '1', '-W', '5', '-t', topic])).rejects.toThrow();
    await run('mosquitto_pub', [
      ...at,
      '-P',
      house.server.adminToken,
      '-q',
      '0',
      '-r',
      '-t',
      topic,
      '-m',
      'forged',
    ]).catch(() => undefined);
    // Whatever the client was told: nothing retained of it may be there.
    const seen = await run('mosquitto_sub', [...[...at, '-P', house.server.adminToken, '-W', '2', '-t', topic]]).catch(
      () => ({ stdout: '' }),
    );
    expect(seen.stdout).not.toContain('forged');
  });

  it("mosquitto's clients come in with a board's certificate and touch its own topics only", async () => {
    const id = 'mosquitto-1';
    const folder = house.rig.path(id);
    await enrollBoard(house.server.httpsUrl, await house.server.client.enrollmentToken(), folder, id);
    const identity = JSON.parse(readFileSync(join(folder, 'identity.json'), 'utf8')) as Record<string, string> & {
      mqtt: { url: string };
    };
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    const { hostname, port } = new URL(identity.mqtt.url);
    const at = ['-h', hostname, '-p', port, '-V', 'mqttv311', '--cafile', file('ca.pem', identity.authorities[0])];
    const own = [
      ...at,
      '--cert',
      file('cert.pem', identity.certificate),
      '--key',
      file('key.pem', identity.privateKey),
    ];
    await house.server.client.assign(id, house.fp32.name, house.fp32.version);
    const desired = await run('mosquitto_sub', [
      ...[...own, '-i', id, '-C', '1', '-W', '20', '-t', deviceTopic(id, 'desired')],
    ]);
    expect(desired.stdout).toContain('payloadType');
    /** Refused at login or at the subscription: whatever the client calls it, it hears nothing. */
    const refused = async (args: string[]) => {
      const heard = await run('mosquitto_sub', [...args, '-C', '1', '-W', '5']).catch(() => ({ stdout: '' }));
      expect(heard.stdout).toBe('');
    };
    await refused([...own, '-i', id, '-t', deviceTopic(house.deviceId, 'desired')]);
    await refused([...own, '-i', house.deviceId, '-t', deviceTopic(house.deviceId, 'desired')]);
    await refused([...at, '-i', id, '-t', deviceTopic(id, 'desired')]);
    const acknowledged = await run('mosquitto_pub', [
      ...[...own, '-i', id, '-q', '1', '-d', '-t', deviceTopic(id, 'presence'), '-m'],
      JSON.stringify({ bootId: '0f0f0f0f', online: true, at: new Date().toISOString() }),
    ]);
    expect(acknowledged.stdout).toContain('PUBACK');
  }, 60_000);

  it('ffprobe and ffmpeg read the MJPEG stream', async () => {
    const url = house.board.client.streamUrl;
    const probe = await run('ffprobe', [
      ...['-v', 'error', '-f', 'mpjpeg', '-show_entries', 'stream=codec_name,width,height', '-of', 'json', url],
    ]);
    const [stream] = (JSON.parse(probe.stdout) as { streams: { codec_name: string; width: number; height: number }[] })
      .streams;
    expect(stream.codec_name).toBe('mjpeg');
    expect(stream.width / stream.height).toBeCloseTo(640 / 360, 1);
    const decoded = await run('ffmpeg', [
      ...[
        '-nostdin',
        '-v',
        'error',
        '-f',
        'mpjpeg',
        '-i',
        url,
        '-frames:v',
        '20',
        '-progress',
        'pipe:1',
        '-f',
        'null',
        '-',
      ],
    ]);
    expect(decoded.stdout).toMatch(/frame=20\b/);
    expect(decoded.stderr).toBe('');
  }, 60_000);

  it("chromium shows the board's page: live pictures, events, the model and its swap", async () => {
    const browser = await chromium.launch({
      executablePath: process.env.VIGIE_CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    });
    try {
      const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(`${message.text()} ${message.location().url}`);
      });
      await page.goto(`${house.board.client.base}/`, { waitUntil: 'domcontentloaded' });
      const picture = page.locator('img').first();
      await expect
        .poll(() => picture.evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth), {
          timeout: 20_000,
        })
        .toBeGreaterThan(0);
      // The picture moves: two looks at what is on the screen differ.
      const first = await picture.screenshot();
      await expect.poll(async () => !first.equals(await picture.screenshot()), { timeout: 20_000 }).toBe(true);
      await expect.poll(() => page.locator('#version').textContent(), { timeout: 20_000 }).toBe(house.fp32.version);
      await page
        .locator('#events li', { hasText: /person #\d+/ })
        .first()
        .waitFor({ timeout: 40_000 });
      // A swap while the page is open: it shows the new model, and the picture goes on.
      await house.server.client.assign(house.deviceId, house.int8.name, house.int8.version);
      await page.locator('#swap.shown').waitFor({ timeout: 30_000 });
      await expect.poll(() => page.locator('#version').textContent(), { timeout: 20_000 }).toBe(house.int8.version);
      const then = await picture.screenshot();
      await expect.poll(async () => !then.equals(await picture.screenshot()), { timeout: 20_000 }).toBe(true);
      await page.screenshot({ path: screenshot('board-page.png'), fullPage: true });
      expect(complaints).toEqual([]);
    } finally {
      await browser.close();
    }
  }, 120_000);

  it("chromium shows the server's page: devices and releases, with the operator's token", async () => {
    const browser = await chromium.launch({
      executablePath: process.env.VIGIE_CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    });
    try {
      const page = await browser.newPage();
      const answer = await page.goto(`${house.server.httpUrl}/`);
      expect(answer?.status()).toBe(200);
      await page.locator('#token').fill(house.server.adminToken);
      await page.locator('#login button').click();
      await page.locator('#devices tr', { hasText: house.deviceId }).waitFor({ timeout: 20_000 });
      await page.locator('#releases tr', { hasText: house.int8.version }).waitFor({ timeout: 20_000 });
      await page.screenshot({ path: screenshot('server-page.png'), fullPage: true });
    } finally {
      await browser.close();
    }
  }, 60_000);
});

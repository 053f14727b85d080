import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enrollBoard, startBoard } from '../benchmarks/src/rig/board.js';
import { type FleetServer, initialiseServer, startServer } from '../benchmarks/src/rig/fleet-server.js';
import { freePorts } from '../benchmarks/src/rig/free-port.js';
import { AGENT_CLI, CLIP, FP32_PACKAGE, inRepository } from '../benchmarks/src/rig/repository.js';
import { Rig } from '../benchmarks/src/rig/rig.js';
import { waitFor } from '../benchmarks/src/rig/wait.js';

const KILLS = 25;

/** Renews without end, by the agent's own parts, and says so after each time. */
const RENEWING = `
import { CertificateRenewal } from '${inRepository('agent/dist/io/certificate-renewal.js')}';
import { FleetHttps } from '${inRepository('agent/dist/io/fleet-https.js')}';
import { CurrentIdentity, readIdentity } from '${inRepository('agent/dist/io/identity.js')}';
import { systemClock as clock } from '${inRepository('agent/dist/io/system-clock.js')}';
const data = process.argv[1];
const current = new CurrentIdentity(await readIdentity(data), data);
const https = new FleetHttps({ baseUrl: current.value.https.url, credentials: () => current.value });
const log = { debug() {}, info() {}, warn() {}, error() {} };
const renewal = new CertificateRenewal({ current, https, clock, now: clock.wall, log });
for (;;) {
  // The next one must end later than the present one, and ends are whole seconds.
  const second = Math.floor(clock.wall() / 1000);
  await renewal.renew().then(() => console.log('renewed'), (error) => {
    if (!/does not last longer/.test(error.message)) throw error;
  });
  while (Math.floor(clock.wall() / 1000) === second) await new Promise((resolve) => setTimeout(resolve, 20));
}
`;

/** A real server and a real board: an identity under SIGKILL, and the end of one. */
describe('the identity of a board', () => {
  const rig = new Rig();
  const data = rig.path('board');
  let server: FleetServer;
  let http: number;

  beforeAll(async () => {
    const [serverHttp, mqtt, board] = await freePorts(3);
    http = board;
    const { adminToken, enrollmentToken } = await initialiseServer(rig.path('server'));
    server = await startServer(rig, rig.path('server'), adminToken, { http: serverHttp, mqtt });
    await enrollBoard(server.httpsUrl, enrollmentToken, data, 'board-1');
  }, 120_000);
  afterAll(() => rig.close());

  /** What `vigie-agent doctor` says about it. */
  const identityCheck = (): Promise<{ ok: boolean; detail: string }> =>
    new Promise((resolve, reject) => {
      const environment = { ...process.env, VIGIE_SOURCE_URL: CLIP };
      const args = [AGENT_CLI, 'doctor', '--data', data, '--json'];
      execFile(process.execPath, args, { env: environment }, (_error, stdout, stderr) => {
        if (stdout === '') return reject(new Error(stderr));
        const { checks } = JSON.parse(stdout) as { checks: { name: string; ok: boolean; detail: string }[] };
        resolve(checks.find(({ name }) => name === 'identity')!);
      });
    });

  it(`is good after each of ${KILLS} SIGKILLs while it was renewed`, async () => {
    const certificate = () =>
      (JSON.parse(readFileSync(join(data, 'identity.json'), 'utf8')) as { certificate: string }).certificate;
    const seen = new Set([certificate()]);
    let random = 20_261_121;
    for (let kill = 0; kill < KILLS; kill += 1) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', RENEWING, data]);
      let complaint = '';
      child.stderr.on('data', (bytes) => {
        complaint += bytes;
      });
      await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
      expect(child.exitCode, complaint).toBeNull();
      // Anywhere within the next renewal.
      random = (random * 1_103_515_245 + 12_345) % 2 ** 31;
      await new Promise((resolve) => setTimeout(resolve, (random >> 8) % 1100));
      child.kill('SIGKILL');
      await once(child, 'exit');
      seen.add(certificate());
    }
    expect(await identityCheck()).toMatchObject({ ok: true });
    expect(seen.size).toBe(KILLS + 1);
  }, 300_000);

  it('lets the board in until it is revoked, then ends its session and every way back', async () => {
    const board = await startBoard(rig, {
      directory: data,
      httpPort: http,
      source: { url: CLIP, pacing: 'realtime', loop: true },
      modelDirectory: FP32_PACKAGE,
    });
    const device = async () =>
      (await (
        await fetch(`${server.httpUrl}/api/v1/devices/board-1`, {
          headers: { authorization: `Bearer ${server.adminToken}` },
        })
      ).json()) as { presence: { online: boolean }; revokedAt: string | null };
    const guard = () => board.process.assertRunning();
    await waitFor('the board to be online', async () => (await device()).presence.online, { timeoutMs: 30_000, guard });
    await fetch(`${server.httpUrl}/api/v1/devices/board-1/revoke`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.adminToken}` },
    });
    await waitFor('its session to end', async () => !(await device()).presence.online, { timeoutMs: 10_000, guard });
    const attempts = () =>
      board.process.logTail(200).filter((line) => /Not authorized|Bad username/i.test(line)).length;
    await waitFor('two refused attempts to come back', () => attempts() >= 2, { timeoutMs: 30_000, guard });
    expect((await device()).presence.online).toBe(false);
    // It goes on watching.
    const frames = (await board.client.health())?.detector;
    expect(frames?.digest).toBeTruthy();
    const check = await identityCheck();
    expect([check.ok, check.detail]).toEqual([false, expect.stringContaining('CERTIFICATE_REVOKED')]);
    await enrollAgain();
    expect(await identityCheck()).toMatchObject({ ok: true });
  }, 120_000);

  /** With a new token, over the identity that stands there. */
  async function enrollAgain(): Promise<void> {
    const token = await server.client.enrollmentToken();
    const args = [
      AGENT_CLI,
      'enroll',
      '--force',
      '--server',
      server.httpsUrl,
      '--data',
      data,
      '--device-id',
      'board-1',
    ];
    await new Promise<void>((resolve, reject) => {
      execFile(process.execPath, args, { env: { ...process.env, VIGIE_ENROLL_TOKEN: token } }, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
  }
});

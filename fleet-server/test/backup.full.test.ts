import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deviceTopic, encodeMessage } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  dataFolder,
  dropTemplate,
  Listener,
  newBoot,
  report,
  runCli,
  type ServerProcess,
  spawnServer,
  temporaryFolder,
  until,
  zooPackage,
} from './server-fixture.js';

let folder: string;
let directory: string;
let adminToken: string;
let server: ServerProcess | null = null;

beforeAll(async () => {
  const made = await dataFolder();
  ({ adminToken, dataDirectory: directory } = made);
  folder = await temporaryFolder();
}, 120_000);

afterAll(async () => {
  await server?.kill('SIGKILL');
  await rm(join(directory, '..'), { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
  await dropTemplate();
});

const vigie = (...args: string[]) =>
  runCli('operator-cli.js', args, { VIGIE_SERVER: server?.http, VIGIE_TOKEN: adminToken, XDG_CONFIG_HOME: folder });
const code = (answer: { stderr: string }) => answer.stderr.trim().split('\n').at(-1)?.split(': ')[1];

interface Desired {
  generation: number;
  release: { version: string } | null;
}

/** A board that keeps what it is told, and its highest generation, as an agent does. */
class Board {
  bootId = newBoot();
  #sequence = 0;
  generation = 0;
  running: string | null = null;
  readonly refused: number[] = [];

  constructor(private readonly listener: Listener) {
    listener.client.on('message', (topic, payload) => {
      if (topic !== deviceTopic('board-1', 'desired')) return;
      const { payload: inner } = JSON.parse(payload.toString()) as { payload: string };
      const desired = JSON.parse(Buffer.from(inner, 'base64').toString()) as Desired;
      if (desired.generation <= this.generation) return void this.refused.push(desired.generation);
      this.generation = desired.generation;
      if (desired.release !== null) this.running = desired.release.version;
    });
  }

  async begin(): Promise<void> {
    const { client } = this.listener;
    await client.publishAsync(
      deviceTopic('board-1', 'presence'),
      encodeMessage('presence', { bootId: this.bootId, online: true }),
      {
        ...{ qos: 1, retain: true },
      },
    );
    await client.subscribeAsync(deviceTopic('board-1', 'desired'), { qos: 1 });
  }

  async report(): Promise<void> {
    this.#sequence += 1;
    const message = report(this.bootId, this.#sequence, { generation: this.generation });
    await this.listener.client.publishAsync(deviceTopic('board-1', 'reported'), encodeMessage('reported', message), {
      ...{ qos: 1, retain: true },
    });
  }

  end(): Promise<void> {
    return this.listener.end();
  }
}

const tufVersions = async (api: Api) =>
  (await api.call('GET', '/health')).body.tuf as unknown as Record<
    'targets' | 'snapshot' | 'timestamp' | 'certified',
    number
  >;

describe('backup and restore', () => {
  it('a server restored from a backup before two assignments is obeyed, and nothing goes back', {
    timeout: 240_000,
  }, async () => {
    server = await spawnServer(directory);
    const api = new Api(server.http, adminToken);
    const packages = { int8: await zooPackage('int8'), fp32: await zooPackage('fp32') };
    for (const { bytes } of Object.values(packages))
      expect((await api.call('POST', '/api/v1/releases', bytes)).status).toBe(201);
    const enrolled = await api.enroll('board-1');
    const assign = (to: Api, { name, version }: { name: string; version: string }) =>
      to.call('POST', '/api/v1/assignments', { devices: ['board-1'], name, version });
    expect((await assign(api, packages.int8)).status).toBe(202);
    const listener = await Listener.device(enrolled);
    const board = new Board(listener);
    await board.begin();
    await until('the first assignment', () => board.generation === 1);
    await board.report();

    const file = join(folder, 'backup.vigie');
    const passphrase = join(folder, 'passphrase');
    await writeFile(passphrase, 'correct horse battery staple\n');
    const made = await vigie('--json', 'backup', '--out', file, '--passphrase-file', passphrase);
    expect([made.code, made.stderr]).toEqual([0, '']);
    expect(JSON.parse(made.stdout)).toMatchObject({ encrypted: true });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await readFile(file)).includes('PRIVATE KEY')).toBe(false);
    const again = await vigie('backup', '--out', file);
    expect([again.code, code(again)]).toEqual([1, 'OUTPUT_EXISTS']);

    // Two assignments that the backup knows nothing of, and one withdrawal: TUF goes on, too.
    await assign(api, packages.fp32);
    await until('the second', () => board.generation === 2);
    await assign(api, packages.int8);
    await until('the third', () => board.generation === 3);
    await board.report();
    const before = await tufVersions(api);
    await board.end();
    await server.kill('SIGKILL');
    server = null;

    const restoredFolder = join(folder, 'restored');
    const restored = await runCli('server-cli.js', [
      ...['restore', '--from', file, '--data', restoredFolder, '--passphrase-file', passphrase, '--json'],
    ]);
    expect([restored.code, restored.stderr]).toEqual([0, '']);
    expect(JSON.parse(restored.stdout).jump).toBeGreaterThanOrEqual(1000);

    server = await spawnServer(restoredFolder);
    const after = new Api(server.http, adminToken);
    const versions = await tufVersions(after);
    for (const role of ['targets', 'certified', 'snapshot', 'timestamp'] as const)
      expect(versions[role], role).toBeGreaterThan(before[role]);
    // The same authority: the board's certificate counts, at the new address.
    const back = new Board(await Listener.device({ ...enrolled, mqtt: { ...enrolled.mqtt, url: server.mqtts } }));
    Object.assign(back, { bootId: board.bootId, generation: board.generation, running: board.running });
    await back.begin();
    await until('the restored state', () => back.generation > 1000);
    // It was told nothing to go back to.
    expect([back.running, back.refused]).toEqual([packages.int8.version, []]);
    await back.report();
    expect((await assign(after, packages.fp32)).status).toBe(202);
    await until('the new assignment', () => back.running === packages.fp32.version);
    await back.end();
    await server.kill('SIGTERM');
    server = null;
    expect((await readdir(folder)).some((name) => name.includes('restoring'))).toBe(false);
  });

  it('refuses damage, cuts, a wrong passphrase, and a folder that holds something', { timeout: 240_000 }, async () => {
    const plain = join(folder, 'plain.vigie');
    const sealed = join(folder, 'sealed.vigie');
    const passphrase = join(folder, 'passphrase');
    const wrong = join(folder, 'wrong');
    await writeFile(passphrase, 'correct horse battery staple\n');
    await writeFile(wrong, 'incorrect horse battery\n');
    const backup = (...args: string[]) => runCli('server-cli.js', ['backup', '--data', directory, ...args]);
    const unencrypted = await backup('--out', plain);
    expect([unencrypted.code, unencrypted.stderr]).toEqual([0, expect.stringContaining('NOT encrypted')]);
    expect((await backup('--out', sealed, '--passphrase-file', passphrase)).code).toBe(0);

    const target = join(folder, 'refused');
    const restore = async (file: string, ...args: string[]) =>
      runCli('server-cli.js', ['restore', '--from', file, '--data', target, ...args]);
    const variant = async (name: string, file: string, change: (bytes: Buffer) => Buffer) => {
      const path = join(folder, name);
      await writeFile(path, change(await readFile(file)));
      return path;
    };
    const flip = (at: number) => (bytes: Buffer) => {
      bytes[Math.floor(bytes.length * at)] ^= 1;
      return bytes;
    };
    const cut = (share: number) => (bytes: Buffer) => bytes.subarray(0, Math.floor(bytes.length * share));
    const key = ['--passphrase-file', passphrase];
    const cases: [string, string[], RegExp][] = [
      [await variant('a', plain, flip(0.5)), [], /^BACKUP_(DAMAGED|TRUNCATED|FOREIGN)$/],
      [await variant('b', plain, cut(0.7)), [], /^BACKUP_TRUNCATED$/],
      [await variant('c', plain, () => Buffer.from('no backup at all')), [], /^BACKUP_FOREIGN$/],
      [await variant('d', sealed, flip(0.6)), key, /^BACKUP_DAMAGED$/],
      [await variant('e', sealed, cut(0.6)), key, /^BACKUP_DAMAGED$/],
      [sealed, [], /^PASSPHRASE_MISSING$/],
      [sealed, ['--passphrase-file', wrong], /^PASSPHRASE_WRONG$/],
      [join(folder, 'absent'), [], /^BACKUP_UNREADABLE$/],
    ];
    for (const [file, args, expected] of cases) {
      const answer = await restore(file, ...args);
      expect([answer.code, code(answer)], file).toEqual([1, expect.stringMatching(expected)]);
    }
    // Nothing of them remains.
    expect((await readdir(folder)).filter((name) => name.startsWith('refused'))).toEqual([]);
    const filled = await runCli('server-cli.js', ['restore', '--from', plain, '--data', directory]);
    expect([filled.code, code(filled)]).toEqual([1, 'FOLDER_NOT_EMPTY']);
    const hash = async (path: string) =>
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
    expect((await restore(plain)).code).toBe(0);
    expect(await hash(join(target, 'pki/authority.key'))).toBe(await hash(join(directory, 'pki/authority.key')));
  });
});

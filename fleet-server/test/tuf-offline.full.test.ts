import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { certificateTargetPath, type EnrollResponse, releaseTargetPath } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  Listener,
  runCli,
  type ServerProcess,
  spawnServer,
  temporaryFolder,
  zooPackage,
} from './server-fixture.js';
import { fetchRelease, verifiedTargets } from './tuf-client.js';

/** The whole story with the programs as operators run them: two of three keys for root and targets, kept elsewhere. */
let folder: string;
let data: string;
let offline: string;
let keys: { root: string[]; targets: string[] };
let admin: string;
let server: ServerProcess;
let api: Api;
let enrolled: EnrollResponse;
let int8: Awaited<ReturnType<typeof zooPackage>>;

const cli = (...args: string[]) => runCli('server-cli.js', args);
/** A command on the data folder, which must do. */
const tuf = async (...args: string[]) => {
  const { code, stdout, stderr } = await cli('tuf', ...args, '--data', data, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
};
const start = async () => {
  server = await spawnServer(data);
  api = new Api(server.http, admin);
};
/** Signs at another machine; returns the file of signatures and what was said. */
const sign = async (key: string, input: string) => {
  const out = join(folder, `signature-${Math.random().toString(36).slice(2)}.json`);
  const { code, stdout, stderr } = await cli('tuf', 'sign', '--key', key, '--in', input, '--out', out);
  expect(code, stderr).toBe(0);
  return { out, said: stdout };
};
const staged = async () => {
  const file = join(folder, 'staged.json');
  await writeFile(file, JSON.stringify((await api.call('GET', '/api/v1/tuf/staged')).body));
  return file;
};
const hand = async (file: string) =>
  api.call('POST', '/api/v1/tuf/signatures', JSON.parse(await readFile(file, 'utf8')));
const board = async () => {
  const listener = await Listener.device(enrolled);
  try {
    return await verifiedTargets(listener, enrolled.tufRoot);
  } finally {
    await listener.end();
  }
};

beforeAll(async () => {
  folder = await temporaryFolder();
  data = join(folder, 'data');
  offline = join(folder, 'usb-stick');
  const counts = ['--root-keys', '3', '--root-threshold', '2', '--targets-keys', '3', '--targets-threshold', '2'];
  const made = await cli('init', '--data', data, ...counts, '--offline-keys', offline, '--json');
  expect(made.code, made.stderr).toBe(0);
  const { adminToken, offlineKeys } = JSON.parse(made.stdout);
  admin = adminToken;
  keys = {
    root: offlineKeys.filter((path: string) => path.includes('root-')),
    targets: offlineKeys.filter((path: string) => path.includes('targets-')),
  };
  int8 = await zooPackage('int8');
  await start();
  enrolled = await api.enroll('board-1');
});

afterAll(async () => {
  await server?.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

describe('root and targets keys offline', { timeout: 240_000 }, () => {
  it('stand only in the folder that is carried away, for their owner alone', async () => {
    expect([keys.root.length, keys.targets.length]).toEqual([3, 3]);
    for (const path of [...keys.root, ...keys.targets]) expect((await stat(path)).mode & 0o777).toBe(0o600);
    const here = await readdir(join(data, 'keys'));
    expect(here.map((name) => name.split('-')[0]).sort()).toEqual(['certified', 'desired', 'snapshot', 'timestamp']);
  });

  it('let a release wait for two people, and say so', async () => {
    const uploaded = await api.call('POST', '/api/v1/releases', int8.bytes);
    expect(uploaded.status, JSON.stringify(uploaded.body)).toBe(201);
    expect(uploaded.body).toMatchObject({ state: 'released', published: false, certifiedBy: 'default-policy' });
    expect((await api.call('GET', '/health')).body).toMatchObject({
      tuf: { targets: 1, waiting: [{ role: 'targets', version: 2, missing: 2 }] },
    });
    const assignment = { devices: ['board-1'], name: int8.name, version: int8.version };
    const early = await api.call('POST', '/api/v1/assignments', assignment);
    expect([early.status, early.body.code]).toEqual([409, 'RELEASE_NOT_PUBLISHED']);
    const locked = await cli('tuf', 'status', '--data', data);
    expect([locked.code, locked.stderr]).toEqual([2, expect.stringContaining('another vigie-server runs')]);

    const first = await sign(keys.targets[0], await staged());
    expect(first.said).toContain('changes since version 1, which this key signed');
    expect(first.said).toContain(`+ ${releaseTargetPath(int8.name, int8.version)}`);
    const half = await hand(first.out);
    expect([half.status, half.body.staged]).toMatchObject([200, [{ role: 'targets', missing: 1 }]]);
    // The server dies; what was signed is not lost. The second signature is taken in while it is stopped.
    await server.kill('SIGKILL');
    const second = await sign(keys.targets[2], join(data, 'tuf/staged/targets.json'));
    expect(await tuf('accept', second.out)).toMatchObject({ staged: [], warnings: [] });
    await start();
    enrolled = { ...enrolled, mqtt: { ...enrolled.mqtt, url: server.mqtts } };
    expect((await api.call('GET', `/api/v1/releases/${int8.name}/${int8.version}`)).body).toMatchObject({
      published: true,
    });
    expect((await api.call('POST', '/api/v1/assignments', assignment)).status).toBe(202);
    const listener = await Listener.device(enrolled);
    const trusted = await verifiedTargets(listener, enrolled.tufRoot);
    const { descriptor } = await fetchRelease(listener, trusted, releaseTargetPath(int8.name, int8.version));
    expect(descriptor.digest).toBe(int8.digest);
    await listener.end();
    for (const { hashes, length } of Object.values({ ...trusted.targets, ...trusted.certified })) {
      const response = await fetch(`${server.http}/api/v1/objects/${hashes.sha256}`, {
        headers: { authorization: `Bearer ${admin}` },
      });
      expect([response.status, (await response.arrayBuffer()).byteLength]).toEqual([200, length]);
    }
    expect((await fetch(`${server.http}/tuf/2.targets.json`)).status).toBe(200);
  });

  it('refuse wrong signatures over the API, by their codes', async () => {
    const signature = { role: 'targets', version: 9, keyid: 'a'.repeat(64), sig: 'b'.repeat(128) };
    const mismatch = await api.call('POST', '/api/v1/tuf/signatures', { signatures: [signature] });
    expect([mismatch.status, mismatch.body.code]).toEqual([409, 'STAGED_MISMATCH']);
    const malformed = await api.call('POST', '/api/v1/tuf/signatures', { signatures: [{ ...signature, sig: 'x' }] });
    expect([malformed.status, malformed.body.code]).toEqual([400, 'REQUEST_INVALID']);
    for (const path of ['/api/v1/tuf', '/api/v1/tuf/staged'])
      expect((await new Api(server.http, null).call('GET', path)).status).toBe(401);
  });

  it('take a withdrawn release from boards at once, by its certificate', async () => {
    const withdrawn = await api.call('POST', `/api/v1/releases/${int8.name}/${int8.version}/withdraw`);
    expect(withdrawn.body).toMatchObject({ state: 'withdrawn', published: true });
    const { targets, certified } = await board();
    expect(targets[releaseTargetPath(int8.name, int8.version)], 'still listed: nobody has signed').toBeDefined();
    expect(certified[certificateTargetPath(int8.digest)], 'but not certified').toBeUndefined();
    const file = await staged();
    for (const key of keys.targets.slice(1)) await hand((await sign(key, file)).out);
    expect(Object.keys((await board()).targets)).toEqual(['server-keys.json']);
  });

  it('are rotated, and a stolen one revoked, on a stopped server', async () => {
    await server.kill('SIGTERM');
    const fresh = join(folder, 'targets-new.pem');
    expect((await cli('tuf', 'new-key', '--out', fresh)).code).toBe(0);
    const stolen = /targets-([0-9a-f]{8})/.exec(keys.targets[0])?.[1] as string;
    const add = `targets=${fresh.replace(/\.pem$/, '.pub.pem')}`;
    await tuf('stage-root', '--add-key', add, '--remove-key', `targets=${stolen}`);
    await tuf('rotate', 'timestamp');
    await tuf('rotate', 'desired');
    const [rootFile, targetsFile] = ['root', 'targets'].map((role) => join(data, `tuf/staged/${role}.json`));
    const said = (await sign(keys.root[0], rootFile)).said;
    expect(said).toMatch(/\+ targets may be signed by key [0-9a-f]{64}/);
    expect(said).toMatch(new RegExp(`- targets may no longer be signed by key ${stolen}`));
    expect(said).toMatch(/\+ timestamp may be signed by key/);
    for (const key of keys.root.slice(0, 2)) await tuf('accept', (await sign(key, rootFile)).out);
    const wrong = await cli('tuf', 'sign', '--key', keys.targets[0], '--in', targetsFile);
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('no signer')]);
    const signed = await sign(fresh, targetsFile);
    expect(signed.said).toMatch(/desired states may be signed by key [0-9a-f]{64}\n.*desired states may be signed by/);
    await tuf('accept', signed.out);
    const status = await tuf('accept', (await sign(keys.targets[1], targetsFile)).out);
    expect(status).toMatchObject({ staged: [], warnings: [] });
    await start();
    enrolled = { ...enrolled, mqtt: { ...enrolled.mqtt, url: server.mqtts } };
    // The board still has the first root: it follows the chain.
    expect((await board()).index).toMatchObject({ root: 2 });
    expect((await api.enroll('board-2')).serverKeys).toHaveLength(2);
  });

  it('are asked for on the command line by clear refusals', async () => {
    await server.kill('SIGTERM');
    const refused = async (code: number, text: string, ...args: string[]) => {
      const result = await cli('tuf', ...args);
      expect([result.code, result.stderr], args.join(' ')).toEqual([code, expect.stringContaining(text)]);
      expect(result.stderr.trim().split('\n'), 'one line').toHaveLength(1);
    };
    await refused(2, 'are not here', 'rotate', 'targets', '--data', data);
    await refused(2, 'cannot be read', 'accept', join(folder, 'absent'), '--data', data);
    await refused(1, 'is no JSON', 'accept', keys.root[0], '--data', data);
    await refused(1, 'holds no private key', 'sign', '--key', join(data, 'tuf/1.root.json'), '--in', keys.root[0]);
    await refused(2, 'is no initialised data folder', 'status', '--data', folder);
    await refused(1, 'vigie-server tuf status lists them', 'revoke', 'abcdef01', '--data', data);
    await refused(2, 'name the versions', 'continue-above', '--data', data);
    expect((await cli('init', '--data', join(folder, 'two'), '--offline-keys', offline)).stderr).toContain('not empty');
    expect((await cli('init', '--data', join(folder, 'two'), '--root-threshold', '2')).code).toBe(2);
    const before = (await tuf('status')).roles.find(({ role }: { role: string }) => role === 'timestamp').version;
    const after = (await tuf('continue-above', '--by', '1000')).roles;
    expect(after.find(({ role }: { role: string }) => role === 'timestamp').version).toBe(before + 1001);
  });
});

import { createPublicKey } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { packageDigest } from '@vigie/models/package/digest';
import {
  certificateTargetPath,
  chunkTopic,
  type Desired,
  deviceTopic,
  type EnrollResponse,
  openEnvelope,
  PAYLOAD_TYPE,
  releaseTargetPath,
  SERVER_KEYS_TARGET,
} from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  changedPackage,
  dataFolder,
  dropTemplate,
  editManifest,
  Listener,
  start,
  temporaryFolder,
  until,
  zooPackage,
} from './server-fixture.js';
import { fetchRelease, fetchTarget, verifiedTargets } from './tuf-client.js';

let directory: string;
let server: RunningServer;
let api: Api;
let enrolled: EnrollResponse;
let fp32: Awaited<ReturnType<typeof zooPackage>>;
let int8: Awaited<ReturnType<typeof zooPackage>>;

/** Opens the desired state as a board does. */
function openDesired(bytes: Buffer): Desired {
  const keys = enrolled.serverKeys.map((pem) => createPublicKey(pem));
  const opened = openEnvelope(JSON.parse(bytes.toString()), PAYLOAD_TYPE.desired, keys);
  if (!opened.ok) throw new Error(opened.code);
  return JSON.parse(opened.payload.toString());
}

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory);
  api = new Api(server.httpUrl, made.adminToken);
  enrolled = await api.enroll('board-1');
  fp32 = await zooPackage('fp32');
  int8 = await zooPackage('int8');
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

describe('from upload to a board', () => {
  it('takes a package in, once', async () => {
    const first = await api.call('POST', '/api/v1/releases', fp32.bytes);
    expect(first.status, JSON.stringify(first.body)).toBe(201);
    expect(first.body).toMatchObject({
      name: fp32.name,
      version: fp32.version,
      digest: fp32.digest,
      precision: 'fp32',
      state: 'released',
      certifiedBy: 'default-policy',
    });
    const again = await api.call('POST', '/api/v1/releases', fp32.bytes);
    expect([again.status, again.body.digest]).toEqual([200, fp32.digest]);
    expect((await api.call('POST', '/api/v1/releases', int8.bytes)).status).toBe(201);
    expect((await api.call('GET', '/api/v1/releases')).body.items).toHaveLength(2);
  });

  it('sends a board everything it needs to verify and fetch the release', async () => {
    const board = await Listener.device(enrolled);
    const assigned = await api.call('POST', '/api/v1/assignments', {
      devices: ['board-1'],
      name: fp32.name,
      version: fp32.version,
      shadow: { seconds: 30 },
      delivery: { transport: 'https', jitterSeconds: 10 },
    });
    expect([assigned.status, assigned.body]).toEqual([202, { assignments: [{ deviceId: 'board-1', generation: 1 }] }]);
    const desired = openDesired(await board.fetch(deviceTopic('board-1', 'desired')));
    expect(desired).toMatchObject({
      deviceId: 'board-1',
      generation: 1,
      release: { name: fp32.name, version: fp32.version, digest: fp32.digest },
      shadow: { seconds: 30, everyFrames: 5, outcome: 'report', minAgreement: 0.5 },
      delivery: { transport: 'https', jitterSeconds: 10 },
    });
    const wrong = { devices: ['board-1'], name: fp32.name, version: fp32.version, shadow: { seconds: 0 } };
    expect((await api.call('POST', '/api/v1/assignments', wrong)).status).toBe(400);

    const trusted = await verifiedTargets(board, enrolled.tufRoot);
    const { descriptor, certificate } = await fetchRelease(board, trusted, releaseTargetPath(fp32.name, fp32.version));
    expect(packageDigest(descriptor.files)).toBe(fp32.digest);
    expect(descriptor.digest).toBe(fp32.digest);
    expect(certificate).toMatchObject({
      digest: fp32.digest,
      grants: [{ hardwareClass: '*', policy: 'default-policy', measured: {} }],
    });
    const keys = JSON.parse((await fetchTarget(board, trusted.targets[SERVER_KEYS_TARGET])).toString());
    expect(keys).toEqual({ keys: enrolled.serverKeys });
    await board.end();
  });

  it('grows the generation, publishes the next release and drops the bytes of the last', async () => {
    const board = await Listener.device(enrolled);
    const before = openDesired(await board.fetch(deviceTopic('board-1', 'desired')));
    const trusted = await verifiedTargets(board, enrolled.tufRoot);
    const oldDescriptor = trusted.targets[releaseTargetPath(fp32.name, fp32.version)].hashes.sha256;
    await board.fetch(chunkTopic(oldDescriptor));

    await api.call('POST', '/api/v1/assignments', {
      devices: ['board-1'],
      name: int8.name,
      version: int8.version,
      retry: true,
      trial: { minFrames: 5 },
    });
    const after = await until('the next generation', async () => {
      const desired = openDesired(await board.fetch(deviceTopic('board-1', 'desired')));
      return desired.generation > before.generation ? desired : null;
    });
    expect(after).toMatchObject({
      generation: before.generation + 1,
      release: { digest: int8.digest },
      retry: true,
      trial: { minFrames: 5 },
    });
    await fetchRelease(board, trusted, releaseTargetPath(int8.name, int8.version));
    await until(
      'the old descriptor to be unpublished',
      () => board.received.get(chunkTopic(oldDescriptor))?.at(-1)?.length === 0,
    );
    await board.end();
  });

  it('refuses assignments that cannot be', async () => {
    const assign = (body: object) => api.call('POST', '/api/v1/assignments', body);
    expect((await assign({ devices: ['board-1'], name: fp32.name, version: '9.9.9' })).body.code).toBe(
      'RELEASE_UNKNOWN',
    );
    expect((await assign({ devices: ['board-1', 'nobody'], name: fp32.name, version: fp32.version })).body.code).toBe(
      'DEVICE_UNKNOWN',
    );
    const invalid = await assign({ devices: [], name: fp32.name, version: fp32.version });
    expect([invalid.status, invalid.body.code]).toEqual([400, 'REQUEST_INVALID']);
    expect(
      (await assign({ devices: ['board-1'], name: fp32.name, version: fp32.version, colour: 'red' })).body.code,
    ).toBe('REQUEST_INVALID');
    expect((await api.call('GET', '/api/v1/devices/board-1')).body).toMatchObject({ desired: { generation: 2 } });
  });
});

describe('withdrawal', () => {
  it('takes a release out of targets and off the wire, and keeps its version taken', async () => {
    const extra = await changedPackage('int8', (folder) =>
      editManifest(folder, (text) => text.replace(/^version: .*$/m, 'version: 4.0.0')),
    );
    expect((await api.call('POST', '/api/v1/releases', extra)).status).toBe(201);
    const withdrawn = await api.call('POST', `/api/v1/releases/${int8.name}/4.0.0/withdraw`);
    expect([withdrawn.status, withdrawn.body.state]).toEqual([200, 'withdrawn']);
    expect((await api.call('POST', `/api/v1/releases/${int8.name}/4.0.0/withdraw`)).status).toBe(200);
    const board = await Listener.device(enrolled);
    const { targets, certified } = await verifiedTargets(board, enrolled.tufRoot);
    expect(Object.keys(targets).sort()).toEqual(
      [
        releaseTargetPath(fp32.name, fp32.version),
        releaseTargetPath(int8.name, int8.version),
        SERVER_KEYS_TARGET,
      ].sort(),
    );
    expect(Object.keys(certified).sort()).toEqual(
      [fp32.digest, int8.digest].map((digest) => certificateTargetPath(digest)).sort(),
    );
    await board.end();
    const assign = await api.call('POST', '/api/v1/assignments', {
      devices: ['board-1'],
      name: int8.name,
      version: '4.0.0',
    });
    expect([assign.status, assign.body.code]).toEqual([409, 'RELEASE_NOT_RELEASED']);
    expect((await api.call('POST', '/api/v1/releases', extra)).body.code).toBe('RELEASE_WITHDRAWN');
    expect((await api.call('POST', `/api/v1/releases/${int8.name}/8.8.8/withdraw`)).body.code).toBe('RELEASE_UNKNOWN');
  });
});

describe('restart', () => {
  it('keeps generations and publishes everything again', async () => {
    await server.close();
    server = await start(directory);
    api = new Api(server.httpUrl, api.token);
    const board = await Listener.device({ ...enrolled, mqtt: { url: server.mqttsUrl } });
    expect(openDesired(await board.fetch(deviceTopic('board-1', 'desired')))).toMatchObject({
      generation: 2,
      release: { digest: int8.digest },
    });
    const trusted = await verifiedTargets(board, enrolled.tufRoot);
    await fetchRelease(board, trusted, releaseTargetPath(int8.name, int8.version));
    const assigned = await api.call('POST', '/api/v1/assignments', {
      devices: ['board-1'],
      name: fp32.name,
      version: fp32.version,
    });
    expect(assigned.body).toEqual({ assignments: [{ deviceId: 'board-1', generation: 3 }] });
    await board.end();
  });

  it('is one at a time on a data folder', async () => {
    await expect(start(directory)).rejects.toMatchObject({ code: 'DATA_FOLDER_LOCKED' });
    const empty = await temporaryFolder();
    await expect(start(empty)).rejects.toMatchObject({ code: 'DATA_FOLDER_UNUSABLE' });
    await rm(empty, { recursive: true, force: true });
  });
});

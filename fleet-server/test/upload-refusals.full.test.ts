import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  changedPackage,
  dataFolder,
  dropTemplate,
  editManifest,
  sha256,
  start,
  zooPackage,
} from './server-fixture.js';

let directory: string;
let server: RunningServer;
let api: Api;
let fp32: Awaited<ReturnType<typeof zooPackage>>;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory);
  api = new Api(server.httpUrl, made.adminToken);
  fp32 = await zooPackage('fp32');
  expect((await api.call('POST', '/api/v1/releases', fp32.bytes)).status).toBe(201);
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

describe('packages that are refused', () => {
  const refused = async (bytes: Buffer) => {
    const answer = await api.call('POST', '/api/v1/releases', bytes);
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    return answer.body as unknown as { status: number; code: string; packageCode?: string };
  };

  it('one byte changed', async () => {
    const tampered = Buffer.from(fp32.bytes);
    const at = tampered.indexOf('model.onnx') + 100_000;
    tampered[at] ^= 1;
    expect(await refused(tampered)).toMatchObject({ status: 422, code: 'PACKAGE_INVALID' });
  });

  it('no archive, an empty body, a cut archive', async () => {
    expect(await refused(Buffer.from('not a package'))).toMatchObject({
      code: 'PACKAGE_INVALID',
      packageCode: 'ARCHIVE_INVALID',
    });
    expect(await refused(Buffer.alloc(0))).toMatchObject({ status: 422 });
    expect(await refused(fp32.bytes.subarray(0, 100_000))).toMatchObject({
      code: 'PACKAGE_INVALID',
      packageCode: 'ARCHIVE_INVALID',
    });
  });

  it('the same version with other bytes', async () => {
    const bytes = await changedPackage('fp32', (folder) => writeFile(join(folder, 'NOTE.txt'), 'other bytes'));
    expect(await refused(bytes)).toMatchObject({ status: 409, code: 'RELEASE_VERSION_TAKEN' });
  });

  it('a golden test that fails', async () => {
    const bytes = await changedPackage('fp32', (folder) =>
      editManifest(folder, (text) =>
        text.replace(/^version: .*$/m, 'version: 3.0.0').replace(/score: 0\.\d+/, 'score: 0.01'),
      ),
    );
    expect(await refused(bytes)).toMatchObject({ status: 422, code: 'GOLDEN_MISMATCH' });
  });

  it('a model that does not load', async () => {
    const bytes = await changedPackage('fp32', async (folder) => {
      const model = Buffer.from('this is no ONNX graph');
      await writeFile(join(folder, 'model.onnx'), model);
      await editManifest(folder, (text) =>
        text.replace(/^version: .*$/m, 'version: 3.0.1').replace(/sha256: .*/, `sha256: ${sha256(model)}`),
      );
    });
    expect(await refused(bytes)).toMatchObject({ status: 422, code: 'MODEL_LOAD_FAILED' });
  });

  it('more bytes than allowed', async () => {
    const made = await dataFolder();
    const small = await start(made.dataDirectory, { upload: { maxBytes: 100_000 } });
    try {
      const answer = await new Api(small.httpUrl, made.adminToken).call(
        'POST',
        '/api/v1/releases',
        Buffer.alloc(300_000),
      );
      expect([answer.status, answer.body.code]).toEqual([413, 'UPLOAD_TOO_LARGE']);
    } finally {
      await small.close();
      await rm(join(made.dataDirectory, '..'), { recursive: true, force: true });
    }
  });

  it('leaves nothing of them behind', async () => {
    expect(await readdir(join(directory, 'tmp'))).toEqual([]);
    expect((await api.call('GET', '/api/v1/releases')).body.items).toHaveLength(1);
  });
});

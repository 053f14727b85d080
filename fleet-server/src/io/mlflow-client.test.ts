import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MlflowClient } from './mlflow-client.js';

const RUN = '5aebe99964cf4d0b9f1bc6acf09ac81e';
const ROOT = `0/${RUN}/artifacts/package`;
/** What MLflow 3.17 answered, by method and path. */
const RECORDED: Record<string, [number, unknown]> = {
  'GET /api/2.0/mlflow/registered-models/alias?name=m1&alias=candidate': [
    200,
    {
      model_version: {
        ...{ name: 'm1', version: '2', creation_timestamp: 1795280661301, current_stage: 'None', status: 'READY' },
        ...{ source: `mlflow-artifacts:/${ROOT}`, run_id: RUN, run_link: '', aliases: ['candidate'] },
      },
    },
  ],
  'GET /api/2.0/mlflow/registered-models/alias?name=m1&alias=nope': [
    400,
    { error_code: 'INVALID_PARAMETER_VALUE', message: 'Registered model alias nope not found.' },
  ],
  'GET /api/2.0/mlflow/model-versions/get?name=zz&version=1': [
    404,
    { error_code: 'RESOURCE_DOES_NOT_EXIST', message: 'Model Version (name=zz, version=1) not found' },
  ],
  'GET /api/2.0/mlflow/model-versions/get-download-uri?name=m1&version=1': [
    200,
    { artifact_uri: `runs:/${RUN}/package` },
  ],
  'GET /api/2.0/mlflow/model-versions/get-download-uri?name=m1&version=9': [200, { artifact_uri: 's3://bucket/x' }],
  [`GET /api/2.0/mlflow/runs/get?run_id=${RUN}`]: [
    200,
    {
      run: {
        info: { artifact_uri: `mlflow-artifacts:/0/${RUN}/artifacts` },
        data: { metrics: [{ key: 'val_ap50', value: 0.61, timestamp: 1795280661000, step: 0 }] },
      },
    },
  ],
  'GET /api/2.0/mlflow-artifacts/artifacts?path=0': [200, { files: [{ path: RUN, is_dir: true }] }],
  'POST /api/2.0/mlflow/runs/log-batch': [200, {}],
};

let server: Server;
let folder: string;
let url: string;
let answers: Record<string, [number, unknown]>;
let asked: { line: string; authorization: string | undefined; body: string }[];

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request) text += part;
  return text;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vigie-mlflow-'));
  server = createServer(async (request, response) => {
    const line = `${request.method} ${request.url}`;
    asked.push({ line, authorization: request.headers.authorization, body: await textOf(request) });
    const [status, body] = answers[line] ?? [404, { message: 'nothing was recorded' }];
    if (status === 302) response.setHeader('location', 'http://127.0.0.1:1/elsewhere');
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
});
beforeEach(() => {
  answers = { ...RECORDED };
  asked = [];
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const client = (options: object = {}) => new MlflowClient({ url: `${url}/`, timeoutMs: 5000, ...options });
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'ok',
    (error: { code: string }) => error.code,
  );

describe('MlflowClient', () => {
  it('finds versions, runs and artifacts as MLflow tells of them', async () => {
    const version = await client().version('m1', { alias: 'candidate' });
    expect(version).toEqual({ model: 'm1', version: '2', source: `mlflow-artifacts:/${ROOT}`, runId: RUN });
    expect(await client().artifactRoot({ ...version, version: '1' })).toBe(ROOT);
    expect(await client().metrics(RUN)).toEqual({ val_ap50: 0.61 });
    expect(await client().list('0')).toEqual([{ name: RUN, folder: true, bytes: null }]);
  });

  it('gives a code for everything that goes wrong', async () => {
    expect(await codeOf(client().version('m1', { alias: 'nope' }))).toBe('MLFLOW_UNKNOWN');
    expect(await codeOf(client().version('zz', { version: '1' }))).toBe('MLFLOW_UNKNOWN');
    const far = { model: 'm1', version: '9', source: '', runId: null };
    expect(await codeOf(client().artifactRoot(far))).toBe('MLFLOW_ARTIFACT_UNREACHABLE');
    const run = `GET /api/2.0/mlflow/runs/get?run_id=${RUN}`;
    for (const [answer, code] of [
      [[401, {}], 'MLFLOW_UNAUTHORIZED'],
      [[503, {}], 'MLFLOW_UNREACHABLE'],
      [[429, {}], 'MLFLOW_UNREACHABLE'],
      [[400, { error_code: 'INVALID_PARAMETER_VALUE', message: 'no' }], 'MLFLOW_REFUSED'],
      [[200, 'a page'], 'MLFLOW_ANSWER_INVALID'],
      [[302, {}], 'MLFLOW_UNREACHABLE'],
    ] as const) {
      answers[run] = answer as [number, unknown];
      expect(await codeOf(client().metrics(RUN)), JSON.stringify(answer)).toBe(code);
    }
    expect(await codeOf(new MlflowClient({ url: 'http://127.0.0.1:1', timeoutMs: 500 }).metrics(RUN))).toBe(
      'MLFLOW_UNREACHABLE',
    );
  });

  it('shows credentials from their files, newly read, and never in an error', async () => {
    const tokenFile = join(folder, 'token');
    for (const token of ['first-secret', 'second-secret']) {
      await writeFile(tokenFile, `${token}\n`);
      await client({ tokenFile }).metrics(RUN);
    }
    const passwordFile = join(folder, 'password');
    await writeFile(passwordFile, 'pass-secret');
    await client({ username: 'vigie', passwordFile }).metrics(RUN);
    expect(asked.map(({ authorization }) => authorization)).toEqual([
      ...['Bearer first-secret', 'Bearer second-secret'],
      `Basic ${Buffer.from('vigie:pass-secret').toString('base64')}`,
    ]);
    const error = await client({ tokenFile })
      .version('zz', { version: '1' })
      .catch((one: Error) => one);
    expect(String(error)).not.toContain('secret');
    expect(await codeOf(client({ tokenFile: join(folder, 'absent') }).metrics(RUN))).toBe('MLFLOW_UNAUTHORIZED');
  });

  it('logs metrics and tags in one batch', async () => {
    const metric = { key: 'vigie/arm64/run/fps', value: 12.5, timestamp: 1795280661000, step: 7 };
    await client().log(RUN, [metric], { 'vigie.state': 'released' });
    expect(asked.map(({ line }) => line)).toEqual(['POST /api/2.0/mlflow/runs/log-batch']);
    expect(JSON.parse(asked[0].body)).toEqual({
      ...{ run_id: RUN, metrics: [metric], tags: [{ key: 'vigie.state', value: 'released' }] },
    });
    await client().log(RUN, [], {});
    expect(asked).toHaveLength(1);
  });
});

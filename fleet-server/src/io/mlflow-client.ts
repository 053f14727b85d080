import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import {
  MlflowError,
  type MlflowFile,
  type MlflowMetric,
  type MlflowServer,
  type MlflowVersion,
} from '../services/mlflow-server.js';

/** Largest JSON answer, bytes. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
const API = 'api/2.0/mlflow';
const ARTIFACTS = 'api/2.0/mlflow-artifacts/artifacts';
/** MLflow takes so many of each in one `log-batch`. */
const BATCH_METRICS = 1000;
const BATCH_TAGS = 100;

const Text = Type.String({ maxLength: 10_000 });
const VersionAnswer = Type.Object({
  model_version: Type.Object({
    name: Text,
    version: Type.Union([Text, Type.Integer()]),
    source: Type.Optional(Text),
    run_id: Type.Optional(Text),
  }),
});
const RunAnswer = Type.Object({
  run: Type.Object({
    info: Type.Object({ artifact_uri: Type.Optional(Text) }),
    data: Type.Optional(
      Type.Object({
        metrics: Type.Optional(Type.Array(Type.Object({ key: Text, value: Type.Union([Type.Number(), Text]) }))),
      }),
    ),
  }),
});
const LoggedModelAnswer = Type.Object({
  model: Type.Object({ info: Type.Object({ artifact_uri: Text }) }),
});
const ListAnswer = Type.Object({
  files: Type.Optional(
    Type.Array(
      Type.Object({
        path: Text,
        is_dir: Type.Optional(Type.Boolean()),
        file_size: Type.Optional(Type.Union([Type.Integer(), Text])),
      }),
    ),
  ),
});

export interface MlflowOptions {
  url: string;
  /** File with a token, sent as `Authorization: Bearer`. */
  tokenFile?: string;
  username?: string;
  /** File with the password of `username`. */
  passwordFile?: string;
  timeoutMs: number;
  /** Tests give another one. */
  fetch?: typeof fetch;
}

/**
 * MLflow by its REST API 2.0. Credentials are read from their files for each call, so that a changed one counts at once; they go
 * to the configured address alone: redirects are refused.
 */
export class MlflowClient implements MlflowServer {
  constructor(private readonly options: MlflowOptions) {}

  get url(): string {
    return this.options.url.replace(/\/+$/, '');
  }

  async version(model: string, which: { version: string } | { alias: string }): Promise<MlflowVersion> {
    const path = 'alias' in which ? 'registered-models/alias' : 'model-versions/get';
    const { model_version: found } = await this.#get(`${API}/${path}`, { name: model, ...which }, VersionAnswer);
    return {
      ...{ model: found.name, version: String(found.version), source: found.source ?? '' },
      runId: found.run_id === undefined || found.run_id === '' ? null : found.run_id,
    };
  }

  async metrics(runId: string): Promise<Record<string, number>> {
    const { run } = await this.#get(`${API}/runs/get`, { run_id: runId }, RunAnswer);
    const metrics = run.data?.metrics ?? [];
    const known = metrics.flatMap(({ key, value }) => (typeof value === 'number' ? [[key, value] as const] : []));
    return Object.fromEntries(known);
  }

  async artifactRoot(version: MlflowVersion): Promise<string> {
    const { artifact_uri: uri } = await this.#get(
      `${API}/model-versions/get-download-uri`,
      { name: version.model, version: version.version },
      Type.Object({ artifact_uri: Text }),
    );
    return this.#served(uri);
  }

  async list(folder: string): Promise<MlflowFile[]> {
    const { files = [] } = await this.#get(ARTIFACTS, { path: folder }, ListAnswer);
    return files.map(({ path, is_dir, file_size }) => ({
      name: path.split('/').at(-1) as string,
      folder: is_dir === true,
      bytes: file_size === undefined ? null : Number(file_size),
    }));
  }

  async download(path: string): Promise<Readable> {
    const response = await this.#send('GET', `${ARTIFACTS}/${path.split('/').map(encodeURIComponent).join('/')}`);
    if (response.body === null) return Readable.from([]);
    return Readable.fromWeb(response.body as ReadableStream);
  }

  async log(runId: string, metrics: readonly MlflowMetric[], tags: Readonly<Record<string, string>>): Promise<void> {
    const pairs = Object.entries(tags).map(([key, value]) => ({ key, value: value.slice(0, 5000) }));
    for (let at = 0; at < Math.max(metrics.length, pairs.length, 1); at += BATCH_TAGS) {
      const body = {
        run_id: runId,
        metrics: at === 0 ? metrics.slice(0, BATCH_METRICS) : [],
        tags: pairs.slice(at, at + BATCH_TAGS),
      };
      if (body.metrics.length + body.tags.length > 0) await this.#post(`${API}/runs/log-batch`, body);
    }
  }

  async setAlias(model: string, alias: string, version: string): Promise<void> {
    await this.#post(`${API}/registered-models/alias`, { name: model, alias, version });
  }

  async tagVersion(model: string, version: string, key: string, value: string): Promise<void> {
    await this.#post(`${API}/model-versions/set-tag`, { name: model, version, key, value: value.slice(0, 5000) });
  }

  /** Path of an artifact URI on the tracking server's own artifact service. */
  async #served(uri: string, depth = 0): Promise<string> {
    const proxied = /^mlflow-artifacts:(?:\/\/[^/]*)?\/(.+)$/.exec(uri);
    if (proxied !== null) return proxied[1].replace(/\/+$/, '');
    const run = /^runs:\/+([0-9a-zA-Z_-]+)(?:\/(.*))?$/.exec(uri);
    if (run !== null && depth < 3) {
      const { run: found } = await this.#get(`${API}/runs/get`, { run_id: run[1] }, RunAnswer);
      return this.#served(joined(found.info.artifact_uri ?? '', run[2]), depth + 1);
    }
    const logged = /^models:\/+(m-[0-9a-zA-Z_-]+)(?:\/(.*))?$/.exec(uri);
    if (logged !== null && depth < 3) {
      const { model } = await this.#get(`${API}/logged-models/${logged[1]}`, {}, LoggedModelAnswer);
      return this.#served(joined(model.info.artifact_uri, logged[2]), depth + 1);
    }
    const scheme = /^[a-z0-9+-]{1,20}:/i.exec(uri)?.[0] ?? 'a path';
    throw new MlflowError(
      'MLFLOW_ARTIFACT_UNREACHABLE',
      `the artifacts lie at ${scheme} and not behind the tracking server; start it with --serve-artifacts and log them anew`,
    );
  }

  async #get<Schema extends TSchema>(
    path: string,
    query: Record<string, string>,
    schema: Schema,
  ): Promise<Static<Schema>> {
    const response = await this.#send('GET', `${path}?${new URLSearchParams(query)}`);
    const answer = parse(await readText(response));
    if (Value.Check(schema, answer)) return answer;
    throw new MlflowError('MLFLOW_ANSWER_INVALID', `${this.url}/${path} answered something unknown; is it MLflow?`);
  }

  async #post(path: string, body: unknown): Promise<void> {
    const response = await this.#send('POST', path, JSON.stringify(body));
    await readText(response);
  }

  async #send(method: string, path: string, body?: string): Promise<Response> {
    const { timeoutMs } = this.options;
    let response: Response;
    try {
      response = await (this.options.fetch ?? fetch)(`${this.url}/${path}`, {
        method,
        headers: {
          ...(await this.#credentials()),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
        ...(body === undefined ? {} : { body }),
      });
    } catch (error) {
      if (error instanceof MlflowError) throw error;
      const cause = (error as { cause?: { code?: string; message?: string } }).cause;
      const why = cause?.code ?? cause?.message ?? (error as Error).name;
      throw new MlflowError('MLFLOW_UNREACHABLE', `${this.url}: no answer (${why})`);
    }
    if (response.ok) return response;
    throw refusal(this.url, path, response.status, parse(await readText(response)));
  }

  async #credentials(): Promise<Record<string, string>> {
    const { tokenFile, username, passwordFile } = this.options;
    if (tokenFile !== undefined) return { authorization: `Bearer ${await secret('mlflow.tokenFile', tokenFile)}` };
    if (username === undefined || passwordFile === undefined) return {};
    const pair = `${username}:${await secret('mlflow.passwordFile', passwordFile)}`;
    return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
  }
}

async function secret(field: string, file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new MlflowError('MLFLOW_UNAUTHORIZED', `${field}: ${file} cannot be read (${code}); name a readable file`);
  }
}

function refusal(url: string, path: string, status: number, answer: unknown): MlflowError {
  const { error_code: code = '', message = '' } = (answer ?? {}) as { error_code?: unknown; message?: unknown };
  const said = `${url}/${path.split('?')[0]} answered ${status}${code === '' ? '' : ` ${String(code).slice(0, 64)}`}`;
  const line = `${said}: ${String(message).split('\n')[0].slice(0, 300)}`;
  if (status === 401 || status === 403) return new MlflowError('MLFLOW_UNAUTHORIZED', line);
  if (status >= 500 || status === 408 || status === 429) return new MlflowError('MLFLOW_UNREACHABLE', line);
  // An alias that nobody set is an invalid parameter to MLflow.
  const unknown = status === 404 || code === 'RESOURCE_DOES_NOT_EXIST' || /not found/i.test(String(message));
  return new MlflowError(unknown ? 'MLFLOW_UNKNOWN' : 'MLFLOW_REFUSED', line);
}

function joined(uri: string, path: string | undefined): string {
  return path === undefined || path === '' ? uri : `${uri.replace(/\/+$/, '')}/${path}`;
}

async function readText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += part.length;
      if (bytes > MAX_ANSWER_BYTES)
        throw new MlflowError('MLFLOW_ANSWER_INVALID', `an answer has over ${MAX_ANSWER_BYTES} bytes`);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof MlflowError) throw error;
    throw new MlflowError('MLFLOW_UNREACHABLE', `an answer broke off (${(error as Error).name})`);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

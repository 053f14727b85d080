import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseConfig, type ServerConfig } from '@vigie/fleet-server/config';
import { type Initialised, initialise } from '@vigie/fleet-server/data-folder-wiring';
import type { Database } from '@vigie/fleet-server/io/database/database';
import { PgliteDatabase } from '@vigie/fleet-server/io/database/pglite-database';
import { ECDSA, newKeyPair, pem, privateKeyPem, x509 } from '@vigie/fleet-server/io/pki/x509-library';
import { type RunningServer, startServer } from '@vigie/fleet-server/main';
import { openDatabase } from '@vigie/fleet-server/wiring/database-wiring';
import { packDirectory } from '@vigie/models/package/archive';
import type { DeviceCertificate, EnrollResponse, Reported } from '@vigie/protocol';
import mqtt, { type MqttClient } from 'mqtt';
import { pino } from 'pino';
import { afterAll } from 'vitest';
import { parse } from 'yaml';
import { answerFault, type OpenApiDocument } from './answer-schemas.js';
import { enginesFrom } from './external-engines.js';
import type { MosquittoBroker } from './mosquitto-broker.js';
import { temporaryFolder, until } from './until.js';

export const repository = fileURLToPath(new URL('../../', import.meta.url));
const cli = join(repository, 'fleet-server/dist/server-cli.js');

export { temporaryFolder, until };

const engines = enginesFrom(process.env);
/** The tests run on PostgreSQL and Mosquitto: what concerns the built-in broker or database alone is left out. */
export const EXTERNAL_ENGINES = engines !== null;
if (engines !== null) afterAll(() => engines.stop());

/** The API as a client sees it. */
export class Api {
  constructor(
    /** Without TLS, on loopback. */
    readonly url: string,
    readonly token: string | null,
  ) {}

  async call(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: Record<string, never>; headers: Headers }> {
    const raw = Buffer.isBuffer(body);
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(this.token === null ? {} : { authorization: `Bearer ${this.token}` }),
        ...(body === undefined ? {} : { 'content-type': raw ? 'application/octet-stream' : 'application/json' }),
      },
      body: body === undefined ? undefined : raw ? new Uint8Array(body) : JSON.stringify(body),
    });
    const text = await response.text();
    const answer = text === '' ? {} : JSON.parse(text);
    if (holding && response.ok) await this.#hold(method, path, response, answer);
    return { status: response.status, body: answer, headers: response.headers };
  }

  /** The answer is what the OpenAPI document says of it. */
  async #hold(method: string, path: string, response: Response, answer: unknown): Promise<void> {
    const { status, headers } = response;
    if (headers.get('content-type')?.startsWith('application/json') !== true) return;
    const document = documents.get(this.url) ?? fetch(`${this.url}/openapi.json`).then((one) => one.json());
    documents.set(this.url, document as Promise<OpenApiDocument>);
    const fault = answerFault((await document) as OpenApiDocument, method, path, status, answer);
    if (fault !== null) throw new Error(`${method} ${path} answered ${status} against its schema: ${fault}`);
  }

  /** Enrols a board by the real thing: a token, a key of its own, TLS. */
  async enroll(deviceId: string): Promise<EnrollResponse> {
    const { token } = (await this.call('POST', '/api/v1/enrollment-tokens')).body;
    const answer = await this.requestEnrollment(token, deviceId);
    if (answer.status !== 200) throw new Error(`enroll: ${JSON.stringify(answer.body)}`);
    return answer.body as unknown as EnrollResponse;
  }

  /** `token`: with or without its fingerprint. The key is kept for `tlsOf`. */
  async requestEnrollment(token: string, deviceId: string, changes: object = {}): Promise<TlsAnswer> {
    const { https, authority } = servers.get(this.url)!;
    const { privateKey, csr } = await keyAndRequest();
    const about = { deviceId, hardwareClass: 'generic-x64', agentVersion: '0.1.0' };
    const body = { token: token.split('.')[0], ...about, csr, ...changes };
    const answer = await callTls(https, { ca: authority }, 'POST', '/api/v1/enroll', body);
    if (answer.status === 200) keys.set(answer.body.certificate, privateKey);
    return answer;
  }
}

let holding = false;
/** From now on every answer that `Api.call` gets in this file must fit its schema in the OpenAPI document. */
export function holdAnswersToSchemas(): void {
  holding = true;
}

/** OpenAPI documents of the servers of these tests, by their plain URL. */
const documents = new Map<string, Promise<OpenApiDocument>>();
/** Where the servers of these tests listen with TLS, by their plain URL. */
const servers = new Map<string, { https: string; authority: string; broker: MosquittoBroker | null }>();
/** Private keys of the boards that were enrolled, by their certificates. */
const keys = new Map<string, string>();

/** A key pair's private half (PEM) and a request signed by it. */
export async function keyAndRequest(): Promise<{ privateKey: string; csr: string }> {
  const keys = await newKeyPair();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=whatever',
    keys: keys as never,
    signingAlgorithm: ECDSA,
  });
  return { privateKey: await privateKeyPem(keys.privateKey), csr: pem(request) };
}

export interface TlsAnswer {
  status: number;
  body: Record<string, never>;
}

/** One HTTPS request; `tls` holds what is trusted and shown. */
export function callTls(
  url: string,
  tls: { ca: string; cert?: string; key?: string },
  method: string,
  path: string,
  body?: unknown,
): Promise<TlsAnswer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = text === undefined ? {} : { 'content-type': 'application/json' };
    const request = httpsRequest(new URL(path, url), { method, headers, agent: false, ...tls }, (response) => {
      let answer = '';
      response.on('data', (bytes) => {
        answer += bytes;
      });
      response.once('end', () =>
        resolve({ status: response.statusCode as number, body: answer === '' ? {} : JSON.parse(answer) }),
      );
      response.once('error', reject);
    });
    request.once('error', reject);
    request.end(text);
  });
}

/** What an enrolled board shows and believes in TLS. */
export function tlsOf(board: DeviceCertificate): { cert: string; key: string; ca: string } {
  return { cert: board.certificate, key: keys.get(board.certificate)!, ca: board.authorities[0] };
}

/** An MQTT client that keeps what it receives. */
export class Listener {
  readonly received = new Map<string, Buffer[]>();

  private constructor(readonly client: MqttClient) {
    client.on('message', (topic, payload) => {
      this.received.set(topic, [...(this.received.get(topic) ?? []), payload]);
    });
    client.on('error', () => undefined);
  }

  static async connect(url: string, options: mqtt.IClientOptions): Promise<Listener> {
    const client = await mqtt.connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0, ...options }, false);
    // Without this each small packet may wait 40 ms for the acknowledgement of the one before.
    (client.stream as Socket).setNoDelay(true);
    return new Listener(client);
  }

  /** An operator's client, on either broker. `server`: plain URLs of API and broker. */
  static async operator(server: { httpUrl: string; mqttUrl: string }, token: string | null): Promise<Listener> {
    const external = await servers.get(server.httpUrl)?.broker?.operator();
    const login = { clientId: 'desk', username: 'operator', password: token ?? '' };
    if (external === undefined) return Listener.connect(server.mqttUrl, login);
    const { url, ...shown } = external;
    return Listener.connect(url, { clientId: login.clientId, ...shown });
  }

  static device(board: EnrollResponse, options: mqtt.IClientOptions = {}): Promise<Listener> {
    return Listener.connect(board.mqtt.url, { clientId: board.deviceId, ...tlsOf(board), ...options });
  }

  /** Newest message of an exact topic, retained or live. */
  async fetch(topic: string): Promise<Buffer> {
    if (!this.received.has(topic)) await this.client.subscribeAsync(topic, { qos: 1 });
    return until(topic, () => this.received.get(topic)?.at(-1));
  }

  /** Resolves when the connection is gone, whoever ended it. */
  async closed(): Promise<void> {
    await new Promise<void>((resolve) => this.client.once('close', () => resolve()));
  }

  async end(): Promise<void> {
    await this.client.endAsync(true);
  }
}

/** An initialised data folder; made once and copied, because making a database takes seconds. */
let template: Promise<Initialised> | null = null;

export async function dataFolder(): Promise<Initialised> {
  template ??= temporaryFolder().then((folder) => (engines ?? { initialise }).initialise(join(folder, 'data')));
  const made = await template;
  const directory = join(await temporaryFolder(), 'data');
  if (engines === null) await cp(made.dataDirectory, directory, { recursive: true });
  else await engines.copy(made.dataDirectory, directory);
  return { ...made, dataDirectory: directory };
}

/** The database of a data folder (no server may run on it), or one of its own in any other folder. */
export async function openTestDatabase(directory: string): Promise<Database> {
  if (engines !== null) return engines.openDatabase(directory);
  await mkdir(join(directory, 'database'), { recursive: true });
  return PgliteDatabase.open(join(directory, 'database'), () => undefined);
}

/** A new data folder, and the first tokens in the database that these settings name. */
export async function initialised(changes: Record<string, unknown>): Promise<Initialised> {
  const directory = join(await temporaryFolder(), 'data');
  const { database } = configOf(directory, changes);
  const host = {
    log: pino({ level: process.env.VIGIE_TEST_LOG ?? 'silent' }),
    onLost: () => undefined,
    environment: {},
  };
  return initialise(directory, undefined, undefined, (embedded) => openDatabase(database, embedded, host));
}

export async function dropTemplate(): Promise<void> {
  if (template !== null) await rm(join((await template).dataDirectory, '..'), { recursive: true, force: true });
  template = null;
}

/** Most tests are about what comes after the gates: uploads are released at once. Those of the gates set `gates`. */
const UNGATED = { registry: { policy: 'default' } };

export function configOf(directory: string, changes: Record<string, unknown> = {}): ServerConfig {
  const free = { port: 0 };
  const ports = { http: free, https: free, mqtt: free, mqtts: free };
  const document = { data: { directory }, ...ports, log: { level: 'fatal' }, ...merged(UNGATED, changes) };
  return parseConfig(document, 'test');
}

export async function start(
  directory: string,
  changes: Record<string, unknown> = {},
  now?: () => Date,
): Promise<RunningServer> {
  const onFatal = (error: Error) => {
    throw error;
  };
  const settings = (await engines?.settings(directory)) ?? {};
  const started = await startServer({
    config: configOf(directory, merged(settings, changes)),
    log: pino({ level: process.env.VIGIE_TEST_LOG ?? 'silent' }),
    onFatal,
    now,
  });
  const broker = (await engines?.broker(directory)) ?? null;
  const server = broker === null ? started : { ...started, mqttsUrl: broker.boardsUrl };
  const { httpUrl: http, httpsUrl: https, authority } = server;
  servers.set(http, { https, authority, broker });
  if (broker !== null) await reachesBroker(http);
  return server;
}

/** Sections of the first with those of the second on top. */
function merged(base: Record<string, unknown>, changes: Record<string, unknown>): Record<string, unknown> {
  const sections = Object.entries(changes).map(([name, section]) => [
    name,
    { ...(base[name] as object | undefined), ...(section as object) },
  ]);
  return { ...base, ...Object.fromEntries(sections) };
}

/** An external broker is connected to after the server listens. */
function reachesBroker(http: string): Promise<unknown> {
  const health = async () => (await (await fetch(`${http}/health`)).json()) as { broker: string };
  return until('the server to reach its broker', async () => (await health()).broker === 'connected');
}

/** The server as its users run it. */
export interface ServerProcess {
  child: ChildProcess;
  http: string;
  https: string;
  mqtt: string;
  mqtts: string;
  /** Certificate of its authority, PEM. */
  authority: string;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** What it said so far. */
  log(): string;
}

/** `more`: further arguments of `vigie-server run`. */
export async function spawnServer(directory: string, more: readonly string[] = []): Promise<ServerProcess> {
  const ports = ['http', 'https', 'mqtt', 'mqtts'].flatMap((name) => [`--${name}-port`, '0']);
  const configured = await configuredArguments(directory, more);
  const child = spawn(process.execPath, [cli, 'run', '--data', directory, ...ports, ...configured], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (bytes) => {
    log += bytes;
  });
  const listening = await until(
    'the server to listen',
    () => {
      if (child.exitCode !== null) throw new Error(`server ended: ${log}`);
      const line = log.split('\n').find((one) => one.includes('"msg":"listening"'));
      return line === undefined ? null : (JSON.parse(line) as Record<'http' | 'https' | 'mqtt' | 'mqtts', string>);
    },
    90_000,
  );
  const kill = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  };
  const authority = await readFile(join(directory, 'pki', 'authority.pem'), 'utf8');
  const broker = (await engines?.broker(directory)) ?? null;
  servers.set(listening.http, { https: listening.https, authority, broker });
  if (broker !== null) await reachesBroker(listening.http);
  const { mqtts } = listening;
  return { child, ...listening, mqtts: broker?.boardsUrl ?? mqtts, authority, kill, log: () => log };
}

/** Arguments of `run` with a configuration file that says what `start` says, the external engines included. */
async function configuredArguments(directory: string, more: readonly string[]): Promise<string[]> {
  const settings = merged(UNGATED, (await engines?.settings(directory)) ?? {});
  const at = more.indexOf('--config');
  const given = at < 0 ? {} : ((parse(await readFile(more[at + 1], 'utf8')) ?? {}) as Record<string, unknown>);
  const file = join(directory, '..', `${basename(directory)}.settings.json`);
  await writeFile(file, JSON.stringify(merged(settings, given)));
  return [...(at < 0 ? more : more.toSpliced(at, 2)), '--config', file];
}

const dataOf = (args: readonly string[]) => args[args.indexOf('--data') + 1];

/** Runs a command line of the server to its end. */
export async function runCli(
  script: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [join(repository, 'fleet-server/dist', script), ...args], {
    env: { ...process.env, ...engines?.environment(dataOf(args)), ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (bytes) => {
    stdout += bytes;
  });
  child.stderr.on('data', (bytes) => {
    stderr += bytes;
  });
  const [code] = await once(child, 'close');
  return { code: code as number | null, stdout, stderr };
}

export const ZOO = { fp32: 'models/zoo/person-detector-fp32', int8: 'models/zoo/person-detector-int8' } as const;

/** A package from the zoo, packed as a publisher would. */
export async function zooPackage(
  which: keyof typeof ZOO,
): Promise<{ bytes: Buffer; digest: string; name: string; version: string }> {
  const { bytes, digest, manifest } = await packDirectory(join(repository, ZOO[which]));
  return { bytes, digest, name: manifest.name, version: manifest.version };
}

/** A package from the zoo with changed files. */
export async function changedPackage(
  which: keyof typeof ZOO,
  change: (directory: string) => Promise<void>,
): Promise<Buffer> {
  const directory = join(await temporaryFolder(), 'package');
  await cp(join(repository, ZOO[which]), directory, { recursive: true });
  await change(directory);
  const { bytes } = await packDirectory(directory);
  await rm(join(directory, '..'), { recursive: true, force: true });
  return bytes;
}

export async function editManifest(directory: string, edit: (text: string) => string): Promise<void> {
  const path = join(directory, 'manifest.yaml');
  const text = await readFile(path, 'utf8');
  const edited = edit(text);
  if (edited === text) throw new Error('the edit changed nothing');
  await writeFile(path, edited);
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export function report(bootId: string, sequence: number, changes: Partial<Reported> = {}): Reported {
  return {
    bootId,
    sequence,
    at: new Date().toISOString(),
    generation: 0,
    phase: 'IDLE',
    active: null,
    candidate: null,
    error: null,
    agentVersion: '0.1.0',
    hardwareClass: 'generic-x64',
    ...changes,
  };
}

export const newBoot = (): string => randomUUID();

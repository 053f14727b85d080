import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseConfig, type ServerConfig } from '@vigie/fleet-server/config';
import { type Initialised, initialise, type RunningServer, startServer } from '@vigie/fleet-server/main';
import { packDirectory } from '@vigie/models/package/archive';
import type { EnrollResponse, Reported } from '@vigie/protocol';
import mqtt, { type MqttClient } from 'mqtt';
import { pino } from 'pino';

export const repository = fileURLToPath(new URL('../../', import.meta.url));
const cli = join(repository, 'fleet-server/dist/server-cli.js');

export async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'vigie-fleet-'));
}

/** Polls until `probe` gives something; fails with what was waited for. */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  deadlineMs = 20_000,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const value = await probe();
    if (value !== null && value !== undefined && value !== false) return value as NonNullable<T>;
    if (Date.now() > deadline) throw new Error(`waited ${deadlineMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The API as a client sees it. */
export class Api {
  constructor(
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
    return { status: response.status, body: text === '' ? {} : JSON.parse(text), headers: response.headers };
  }

  async enroll(deviceId: string): Promise<EnrollResponse> {
    const { token } = (await this.call('POST', '/api/v1/enrollment-tokens')).body;
    const answer = await new Api(this.url, null).call('POST', '/api/v1/enroll', {
      token,
      deviceId,
      hardwareClass: 'generic-x64',
      agentVersion: '0.1.0',
    });
    if (answer.status !== 200) throw new Error(`enroll: ${JSON.stringify(answer.body)}`);
    return answer.body as unknown as EnrollResponse;
  }
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

  static device(enrolled: EnrollResponse, options: mqtt.IClientOptions = {}): Promise<Listener> {
    const { url, username, password } = enrolled.mqtt;
    return Listener.connect(url, { clientId: enrolled.deviceId, username, password, ...options });
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
  template ??= temporaryFolder().then((folder) => initialise(join(folder, 'data')));
  const made = await template;
  const directory = join(await temporaryFolder(), 'data');
  await cp(made.dataDirectory, directory, { recursive: true });
  return { ...made, dataDirectory: directory };
}

export async function dropTemplate(): Promise<void> {
  if (template !== null) await rm(join((await template).dataDirectory, '..'), { recursive: true, force: true });
  template = null;
}

export function configOf(directory: string, changes: Record<string, unknown> = {}): ServerConfig {
  const document = { data: { directory }, http: { port: 0 }, mqtt: { port: 0 }, log: { level: 'fatal' }, ...changes };
  return parseConfig(document, 'test');
}

export async function start(directory: string, changes: Record<string, unknown> = {}): Promise<RunningServer> {
  const onFatal = (error: Error) => {
    throw error;
  };
  return startServer({ config: configOf(directory, changes), log: pino({ level: 'silent' }), onFatal });
}

/** The server as its users run it. */
export interface ServerProcess {
  child: ChildProcess;
  http: string;
  mqtt: string;
  kill(signal: NodeJS.Signals): Promise<void>;
}

export async function spawnServer(directory: string): Promise<ServerProcess> {
  const child = spawn(process.execPath, [cli, 'run', '--data', directory, '--http-port', '0', '--mqtt-port', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (bytes) => {
    log += bytes;
  });
  const listening = await until('the server to listen', () => {
    if (child.exitCode !== null) throw new Error(`server ended: ${log}`);
    const line = log.split('\n').find((one) => one.includes('"msg":"listening"'));
    return line === undefined ? null : (JSON.parse(line) as { http: string; mqtt: string });
  });
  const kill = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  };
  return { child, ...listening, kill };
}

/** Runs a command line of the server to its end. */
export async function runCli(
  script: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [join(repository, 'fleet-server/dist', script), ...args], {
    env: { ...process.env, ...env },
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

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';
import { FleetClient } from '../clients/fleet-client.js';
import { runCommand } from './command.js';
import { fixedPorts } from './free-port.js';
import type { ManagedProcess } from './managed-process.js';
import { SERVER_CLI } from './repository.js';
import type { Rig } from './rig.js';
import { waitFor } from './wait.js';

/** A running fleet server and the way in. */
export interface FleetServer {
  process: ManagedProcess;
  client: FleetClient;
  adminToken: string;
  /** For operators, without TLS. */
  httpUrl: string;
  mqttUrl: string;
  /** For boards: enrolment, renewal, files. */
  httpsUrl: string;
}

/** `vigie-server init` in a fresh folder; the tokens are shown this once. */
export async function initialiseServer(directory: string): Promise<{ adminToken: string; enrollmentToken: string }> {
  const stdout = await runCommand('vigie-server init', process.execPath, [
    SERVER_CLI,
    'init',
    '--data',
    directory,
    '--json',
  ]);
  return JSON.parse(stdout.toString('utf8')) as { adminToken: string; enrollmentToken: string };
}

/** Ports for boards stay the same from start to start: their identities name them. */
async function boardPorts(directory: string): Promise<{ https: number; mqtts: number }> {
  const file = `${directory}.ports.json`;
  if (!existsSync(file)) {
    const [https, mqtts] = await fixedPorts(2);
    writeFileSync(file, JSON.stringify({ https, mqtts }));
  }
  return JSON.parse(readFileSync(file, 'utf8')) as { https: number; mqtts: number };
}

/** How the server's process is started. */
export interface ServerLaunch {
  /** A program that runs it, such as `taskset -c 0,1`. */
  prefix?: readonly string[];
  /** Options of Node itself. */
  node?: readonly string[];
  readyTimeoutMs?: number;
  /** Sections of the configuration, under those of a file that is given with `--config`. */
  settings?: Record<string, object>;
}

/** What is measured here comes after the gates: uploads are released at once. The demo, which shows the gates, has none of it. */
const UNGATED = { registry: { policy: 'default' } };

/** Arguments with the settings in a file beside the data folder, which names what a file of the caller's names, too. */
function configured(directory: string, more: readonly string[], settings: Record<string, object>): string[] {
  if (Object.keys(settings).length === 0) return [...more];
  const at = more.indexOf('--config');
  const given = at < 0 ? {} : ((parse(readFileSync(more[at + 1], 'utf8')) ?? {}) as Record<string, object>);
  const sections = Object.entries(given).map(([name, section]) => [name, { ...settings[name], ...section }]);
  const file = `${directory}.settings.json`;
  writeFileSync(file, JSON.stringify({ ...settings, ...Object.fromEntries(sections) }), { mode: 0o600 });
  return [...(at < 0 ? more : more.toSpliced(at, 2)), '--config', file];
}

/** Starts `vigie-server run` on an initialised folder and waits until it answers. */
export async function startServer(
  rig: Rig,
  directory: string,
  adminToken: string,
  ports: { http: number; mqtt: number },
  /** Further options of the command line, such as `--config FILE`. */
  more: readonly string[] = [],
  { prefix = [], node = [], readyTimeoutMs = 60_000, settings = UNGATED }: ServerLaunch = {},
): Promise<FleetServer> {
  const { https, mqtts } = await boardPorts(directory);
  const httpUrl = `http://127.0.0.1:${ports.http}`;
  const [command, ...args] = [...prefix, process.execPath, ...node, SERVER_CLI];
  const server = rig.start({
    name: 'server',
    command,
    args: [
      ...args,
      'run',
      '--data',
      directory,
      '--http-port',
      String(ports.http),
      '--https-port',
      String(https),
      '--mqtt-port',
      String(ports.mqtt),
      '--mqtts-port',
      String(mqtts),
      ...configured(directory, more, settings),
    ],
  });
  const client = new FleetClient(httpUrl, adminToken);
  await waitFor('the fleet server to answer', () => client.healthy(), {
    timeoutMs: readyTimeoutMs,
    guard: () => server.assertRunning(),
  });
  return {
    process: server,
    client,
    adminToken,
    httpUrl,
    mqttUrl: `mqtt://127.0.0.1:${ports.mqtt}`,
    httpsUrl: `https://127.0.0.1:${https}`,
  };
}

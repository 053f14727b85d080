import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type Board, enrollBoard, startBoard } from '../rig/board.js';
import { type FleetServer, initialiseServer, startServer } from '../rig/fleet-server.js';
import { freePorts } from '../rig/free-port.js';
import type { Rig } from '../rig/rig.js';
import type { DemoOptions } from './options.js';

/** What a data folder remembers, so that a second run goes on with it. Mode 0600: it holds the admin token. */
interface DemoState {
  adminToken: string;
  ports: { server: number; mqtt: number; board: number };
}

export const DEVICE = 'demo-board';

/** Ports that were asked for, or those of the last run, or free ones. */
async function choosePorts(options: DemoOptions, last: DemoState | undefined): Promise<DemoState['ports']> {
  const [server, mqtt, board] = await freePorts(3);
  return {
    server: options.serverPort ?? last?.ports.server ?? server,
    // The board's identity names the broker's address: it must not move.
    mqtt: last?.ports.mqtt ?? mqtt,
    board: options.httpPort ?? last?.ports.board ?? board,
  };
}

/** The fleet server, initialised at the first run, and where its admin token lies. */
export async function startDemoServer(
  rig: Rig,
  options: DemoOptions,
): Promise<{ server: FleetServer; tokenFile: string; boardPort: number; fresh: boolean }> {
  const stateFile = rig.path('demo.json');
  const tokenFile = rig.path('admin-token');
  const last = existsSync(stateFile) ? (JSON.parse(readFileSync(stateFile, 'utf8')) as DemoState) : undefined;
  const ports = await choosePorts(options, last);
  const adminToken = last?.adminToken ?? (await initialiseServer(rig.path('server'))).adminToken;
  const state: DemoState = { adminToken, ports };
  writeFileSync(stateFile, JSON.stringify(state), { mode: 0o600 });
  writeFileSync(tokenFile, `${adminToken}\n`, { mode: 0o600 });
  // No settings of the demo's own: it shows what a fresh server does.
  const places = { http: ports.server, mqtt: ports.mqtt };
  const server = await startServer(rig, rig.path('server'), adminToken, places, [], { settings: {} });
  return { server, tokenFile, boardPort: ports.board, fresh: last === undefined };
}

/** The board: enrolled once, then started without any model of its own. */
export async function startDemoBoard(
  rig: Rig,
  server: FleetServer,
  port: number,
  source: string,
  own: boolean,
): Promise<Board> {
  const directory = rig.path('board');
  if (!existsSync(`${directory}/identity.json`)) {
    await enrollBoard(server.httpsUrl, await server.client.enrollmentToken(), directory, DEVICE);
  }
  return await startBoard(rig, {
    directory,
    httpPort: port,
    source: { url: source, pacing: 'realtime', loop: true },
    ...(own ? { readyTimeoutMs: 30_000 } : {}),
  });
}

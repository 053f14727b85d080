import { mkdirSync, writeFileSync } from 'node:fs';
import { BoardClient, type BoardHealth } from '../clients/board-client.js';
import { runCommand } from './command.js';
import type { ManagedProcess } from './managed-process.js';
import { AGENT_CLI, HALF_CORE } from './repository.js';
import type { Rig } from './rig.js';
import { WaitTimeoutError, waitFor } from './wait.js';

export interface BoardOptions {
  /** For messages and the log file; `board` when absent. */
  name?: string;
  /** Data folder of the agent. */
  directory: string;
  httpPort: number;
  source: { url: string; pacing: 'realtime' | 'unpaced'; loop: boolean };
  /** Frames per second at the most; as the source when absent. */
  fps?: number;
  /** Unpacked package to start with; without one the board waits for its first release. */
  modelDirectory?: string;
  /** Run it with 0.5 core and 512 MiB. */
  halfCore?: boolean;
  readyTimeoutMs?: number;
}

export interface Board {
  process: ManagedProcess;
  client: BoardClient;
}

/** The agent's config as YAML; JSON strings are YAML strings. */
export function boardConfig(options: BoardOptions): string {
  const { source } = options;
  const quote = (text: string): string => JSON.stringify(text);
  return [
    'data:',
    `  directory: ${quote(options.directory)}`,
    'source:',
    `  url: ${quote(source.url)}`,
    `  pacing: ${source.pacing}`,
    `  loop: ${source.loop}`,
    ...(options.fps === undefined ? [] : ['camera:', `  fps: ${options.fps}`]),
    ...(options.modelDirectory === undefined ? [] : ['model:', `  directory: ${quote(options.modelDirectory)}`]),
    'http:',
    '  host: 127.0.0.1',
    `  port: ${options.httpPort}`,
    '',
  ].join('\n');
}

/** Trades an enrolment token for the board's identity, kept in its data folder. `serverUrl`: `https://host:port`. */
export async function enrollBoard(
  serverUrl: string,
  token: string,
  directory: string,
  deviceId: string,
): Promise<void> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  await runCommand('vigie-agent enroll', process.execPath, [
    AGENT_CLI,
    'enroll',
    ...['--server', serverUrl, '--token', token, '--data', directory],
    ...['--device-id', deviceId, '--hardware-class', 'generic-x64'],
  ]);
}

/** Starts an agent with its own config file; returns at once. */
export function launchBoard(rig: Rig, options: BoardOptions): Board {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const config = `${options.directory}.yaml`;
  writeFileSync(config, boardConfig(options), { mode: 0o600 });
  const agent = [process.execPath, AGENT_CLI, 'run', '--config', config];
  const [command, ...args] = options.halfCore === true ? [HALF_CORE, ...agent] : agent;
  const board = rig.start({ name: options.name ?? 'board', command, args });
  return { process: board, client: new BoardClient(`http://127.0.0.1:${options.httpPort}`) };
}

/** Starts an agent and waits until it answers and its camera delivers (and, with a model, detects). */
export async function startBoard(rig: Rig, options: BoardOptions): Promise<Board> {
  const { process: board, client } = launchBoard(rig, options);
  let latest: BoardHealth | undefined;
  const ready = async (): Promise<boolean> => {
    latest = await client.health();
    const loaded = options.modelDirectory === undefined || (latest?.detector.digest ?? null) !== null;
    return latest?.camera.status === 'streaming' && loaded;
  };
  try {
    await waitFor('the board to see its camera and load its model', ready, {
      timeoutMs: options.readyTimeoutMs ?? 60_000,
      everyMs: 100,
      guard: () => board.assertRunning(),
    });
  } catch (error) {
    const camera = latest?.camera;
    if (!(error instanceof WaitTimeoutError) || camera === undefined || camera.status === 'streaming') throw error;
    throw new CameraError(
      `the camera ${redact(options.source.url)} is ${camera.status}: ${camera.reason ?? 'no reason given'}`,
    );
  }
  return { process: board, client };
}

/** The board runs, its camera does not. */
export class CameraError extends Error {
  override readonly name = 'CameraError';
}

/** A source without the user and password in its URL, fit for a message. */
export function redact(url: string): string {
  return url.replace(/\/\/[^/@\s]*@/, '//***@');
}

import { existsSync } from 'node:fs';
import { packDirectory } from '@vigie/models/package/archive';
import type { FleetRelease } from '../clients/fleet-client.js';
import { enrollBoard } from '../rig/board.js';
import { runCommand } from '../rig/command.js';
import { initialiseServer } from '../rig/fleet-server.js';
import { makePackageVariant } from '../rig/package-variant.js';
import { publishDirectory } from '../rig/publish.js';
import { CLIP, FP32_PACKAGE, INT8_PACKAGE } from '../rig/repository.js';
import { waitFor } from '../rig/wait.js';
import { BoardLane } from './board-lane.js';
import { ChaosBoard } from './chaos-board.js';
import { ChaosServer } from './chaos-server.js';
import type { ChaosContext } from './context.js';
import { readJournaledEvents } from './disk-check.js';
import { laneQuotas, type Victim } from './plan.js';
import { ServerLane } from './server-lane.js';
import type { ChaosFolder, ChaosState } from './state.js';
import { type Finding, totalKills } from './tally.js';
import { Updates } from './updates.js';
import { WireObserver } from './wire-observer.js';

/** After so many findings there is nothing more to learn from going on. */
const MAX_FINDINGS = 25;
/** Walkers are in the picture from here on, s; the clip that boards loop over starts there. */
const CLIP_FROM_S = 4;
const CLIP_S = 16;

export interface ChaosRunOptions {
  kills: number;
  /** Frames per second of the boards' cameras. */
  fps: number;
  /** A board that has not detected again by then is blind, ms. */
  blindMs: number;
  onProgress(line: string): void;
}

/** One invocation: a server, its boards, their updates, and the lanes that kill them. */
export class ChaosRun implements ChaosContext {
  readonly boards: ChaosBoard[] = [];
  releases: FleetRelease[] = [];
  bundledDigest = '';
  server!: ChaosServer;
  /** No more kills and no more updates: what is under way comes to its end. */
  calm = false;
  stopping = false;
  readonly stopped: Promise<void>;
  #stop!: () => void;
  readonly #startedAt = performance.now();
  readonly #elapsedBefore: number;
  #observer: WireObserver | null = null;

  constructor(
    readonly folder: ChaosFolder,
    readonly state: ChaosState,
    readonly options: ChaosRunOptions,
  ) {
    this.#elapsedBefore = state.elapsedMs;
    this.stopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
    state.invocations += 1;
  }

  get blindMs(): number {
    return this.options.blindMs;
  }

  /** Ends this invocation soon; what was done so far is kept. */
  stop(): void {
    this.stopping = true;
    this.#stop();
  }

  save(): void {
    this.state.elapsedMs = Math.round(this.#elapsedBefore + performance.now() - this.#startedAt);
    this.folder.save(this.state);
  }

  /** A kill was done. */
  done(lane: number, victim: Victim): void {
    this.state.done[lane] += 1;
    this.state.tally.kills[victim] += 1;
    this.save();
  }

  find(kind: Finding['kind'], board: string, detail: string): void {
    const { findings } = this.state.tally;
    findings.push({ kind, board, detail: detail.slice(0, 2000), kills: totalKills(this.state.tally) });
    this.options.onProgress(`FOUND ${kind} on ${board}: ${detail.slice(0, 300)}`);
    this.save();
    if (findings.length >= MAX_FINDINGS) this.stop();
  }

  notePids(): void {
    this.folder.notePids([this.server.pid, ...this.boards.map(({ pid }) => pid)].filter((pid) => pid > 0));
  }

  /** Starts everything: anew, or on the folders of an earlier invocation. */
  async begin(): Promise<void> {
    const { folder, state } = this;
    const serverDirectory = folder.path('server');
    let enrollmentToken = '';
    if (state.adminToken === '')
      ({ adminToken: state.adminToken, enrollmentToken } = await initialiseServer(serverDirectory));
    const [http, mqtt, ...boardPorts] = state.ports;
    this.server = new ChaosServer(folder.directory, serverDirectory, { http, mqtt }, state.adminToken);
    await this.server.start();
    await this.publish();
    const clip = await this.makeClip();
    const verified = new Set(this.releases.map(({ digest }) => digest));
    for (const [index, httpPort] of boardPorts.entries()) {
      const deviceId = `board-${index + 1}`;
      const dataDirectory = folder.path(deviceId);
      if (!existsSync(folder.path(deviceId, 'identity.json'))) {
        const token = enrollmentToken || (await this.server.client.enrollmentToken());
        enrollmentToken = '';
        await enrollBoard(this.server.httpsUrl, token, dataDirectory, deviceId);
      }
      this.boards.push(
        new ChaosBoard({
          ...{ deviceId, root: folder.directory, dataDirectory, httpPort, clip, verified },
          modelDirectory: INT8_PACKAGE,
        }),
      );
    }
    this.save();
    this.#observer = new WireObserver(
      this.server.mqttUrl,
      state.adminToken,
      this.boards.map(({ id }) => id),
      folder,
    );
    const since = performance.now();
    for (const board of this.boards) board.start();
    this.notePids();
    for (const board of this.boards) {
      if ((await board.watch.awaitRunning(since, 60_000)) === null)
        throw new Error(`${board.id} does not detect: ${board.lastWords}`);
    }
  }

  /** Kills until `kills` are done over all invocations, while updates go on; then lets everything settle. */
  async strike(): Promise<void> {
    const quotas = laneQuotas(this.options.kills, this.boards.length);
    const report = setInterval(() => this.options.onProgress(this.progressLine()), 10_000);
    try {
      const updates = this.boards.map((board, index) => new Updates(this, board, index));
      const updating = Promise.all(updates.map((update) => update.goOn()));
      await Promise.all([
        new ServerLane(this).strikeAll(quotas[0]),
        ...this.boards.map((board, index) => new BoardLane(this, board, index + 1).strikeAll(quotas[index + 1])),
      ]);
      this.calm = true;
      await updating;
      if (this.stopping) return;
      this.options.onProgress(`${this.progressLine()}; every board gets one more update, undisturbed`);
      await Promise.all(updates.map((update, index) => this.settle(update, this.boards[index])));
    } finally {
      clearInterval(report);
    }
  }

  /** Ends all processes; what boards and server hold on their disks stays. */
  async end(): Promise<void> {
    await this.#observer?.close();
    await Promise.all(this.boards.map((board) => board.stop()));
    await this.server?.stop();
    this.save();
  }

  private async settle(update: Updates, board: ChaosBoard): Promise<void> {
    if (!(await update.settle(120_000)))
      this.find('not-converged', board.id, 'the update after the last kill was not proven to run within 120 s');
    for (const [key, body] of readJournaledEvents(board.options.dataDirectory))
      this.folder.note('journaled', board.id, key, body);
    const emptied = async (): Promise<boolean> => (await board.client.health())?.link.outbox.pending === 0;
    await waitFor('the outbox to be empty', emptied, { timeoutMs: 60_000, everyMs: 20 }).catch(() =>
      this.find('event-lost', board.id, 'its outbox did not empty within 60 s'),
    );
    const dropped = (await board.client.health())?.link.outbox.dropped ?? 0;
    if (dropped > 0) this.find('outbox-dropped', board.id, `${dropped} messages`);
    for (const digest of board.watch.strangers) this.find('unverified-model', board.id, digest);
  }

  /** The releases that boards are led through; three of them share no piece of their models, so each must be fetched. */
  private async publish(): Promise<void> {
    const directories = [INT8_PACKAGE, FP32_PACKAGE];
    for (const version of ['2.0.1', '2.0.2']) {
      const directory = this.folder.path('packages', version);
      if (!existsSync(directory)) makePackageVariant(FP32_PACKAGE, directory, version);
      directories.push(directory);
    }
    this.bundledDigest = (await packDirectory(INT8_PACKAGE)).digest;
    for (const directory of directories) this.releases.push(await publishDirectory(this.server.client, directory));
  }

  /** The busy part of the bundled clip at the cameras' frame rate. */
  private async makeClip(): Promise<string> {
    const path = this.folder.path('clip.mp4');
    if (existsSync(path)) return path;
    const cut = ['-ss', String(CLIP_FROM_S), '-t', String(CLIP_S), '-i', CLIP, '-r', String(this.options.fps)];
    await runCommand('ffmpeg', 'ffmpeg', ['-v', 'error', ...cut, '-c:v', 'libx264', '-preset', 'veryfast', path]);
    return path;
  }

  private progressLine(): string {
    const { tally } = this.state;
    const { agent, child, server } = tally.kills;
    const { converged, assigned } = tally.updates;
    return (
      `${totalKills(tally)} of ${this.options.kills} kills (agent ${agent}, child ${child}, server ${server}); ` +
      `updates ${converged} of ${assigned}; findings ${tally.findings.length}; ` +
      `${Math.round((this.#elapsedBefore + performance.now() - this.#startedAt) / 1000)} s`
    );
  }
}

import type { FleetDevice } from '../clients/fleet-client.js';
import { MqttObserver } from '../clients/mqtt-observer.js';
import { percentiles } from '../measure/percentiles.js';
import {
  assignAndAwaitCommit,
  awaitSteady,
  type Observers,
  observeSwap,
  type SwapObservation,
} from '../observe-swap.js';
import { ms } from '../progress.js';
import type { Board } from '../rig/board.js';
import type { FleetServer } from '../rig/fleet-server.js';
import { closeObservers, connectObservers } from '../rig/observers.js';
import { type PublishedRelease, publishDirectory } from '../rig/publish.js';
import { CLIP, FP32_PACKAGE, INT8_PACKAGE } from '../rig/repository.js';
import type { Rig } from '../rig/rig.js';
import { waitFor } from '../rig/wait.js';
import { certifyReleases } from './certify.js';
import type { Narrator } from './narrator.js';
import type { DemoOptions } from './options.js';
import { type Check, type DemoReport, rounded } from './report.js';
import { DEVICE, startDemoBoard, startDemoServer } from './world.js';

/** Undisturbed stream before the swap, ms: what its gaps are compared with. */
const STEADY_MS = 6000;
/** The clip's both walkers come by within one round of 23 s; two rounds are patience enough. */
const SCENE_PATIENCE_MS = 50_000;
/** With somebody's own camera nothing is promised: this is how long the demo looks, ms. */
const OWN_SOURCE_LOOK_MS = 15_000;
const WALKERS = 2;
const MIN_VIEWER_FRAMES = 50;
const MAX_DURATION_MS = 2000;
/** A pause of a busy machine is forgiven here, a stream that froze is not; `vigie-bench swap` judges strictly. */
const FREEZE_MS = 500;

export interface DemoWorld {
  server: FleetServer;
  board: Board;
  tokenFile: string;
}

/** Events that began after `sinceWallMs` and that the server has stored: distinct ids. */
async function storedEvents(observers: Observers, sinceWallMs: number): Promise<number> {
  const events = await observers.fleet.events(observers.deviceId);
  return new Set(events.filter((event) => Date.parse(event.startedAt) >= sinceWallMs).map((event) => event.id)).size;
}

async function inSync(observers: Observers): Promise<FleetDevice> {
  return await waitFor(
    'the server to see the board in sync',
    async () => {
      const device = await observers.fleet.device(observers.deviceId);
      const { desired, reported } = device;
      const wanted = desired?.release?.digest;
      return (
        wanted !== undefined &&
        reported?.generation === desired?.generation &&
        reported?.active?.release.digest === wanted &&
        device
      );
    },
    { timeoutMs: 15_000, everyMs: 100, guard: observers.guard },
  );
}

function published(report: DemoReport, release: PublishedRelease): string {
  const { name, version, precision, bytes, archiveBytes } = release;
  report.releases.push({ name, version, precision, bytes: bytes ?? archiveBytes });
  return `${name} ${version} (${precision}, ${Math.round(archiveBytes / 1024)} KiB)`;
}

/** Watches until the scene has shown itself: events of both walkers, or a while of somebody's own camera. */
async function watchScene(observers: Observers, narrator: Narrator, own: boolean, sinceWallMs: number): Promise<void> {
  const { viewer, live, guard } = observers;
  const started = performance.now();
  await waitFor('frames at the viewer', () => viewer.frames.length >= 10, { timeoutMs: 20_000, guard });
  narrator.done(`a viewer gets the MJPEG stream`);
  if (own) {
    await waitFor('a look at the source', () => performance.now() - started > OWN_SOURCE_LOOK_MS, {
      timeoutMs: OWN_SOURCE_LOOK_MS + 5000,
      guard,
    });
    narrator.done(`${live.detections} detections in this picture so far`);
    return;
  }
  await waitFor('the first detection', () => live.detections > 0, { timeoutMs: SCENE_PATIENCE_MS, guard });
  narrator.done('somebody walks in: first detection');
  await waitFor('events of both walkers', async () => (await storedEvents(observers, sinceWallMs)) >= WALKERS, {
    timeoutMs: SCENE_PATIENCE_MS,
    everyMs: 250,
    guard,
  });
  const ids = new Set(live.events.map((event) => event.trackId));
  narrator.done(`both walkers became events, stored by the server (tracks ${[...ids].join(', ')})`);
}

/** What the clients saw, as checks. */
function judge(
  report: DemoReport,
  swap: SwapObservation,
  device: FleetDevice,
  fromDigest: string,
  damaged: number,
  own: boolean,
): Check[] {
  const { figures } = swap;
  const check = (name: string, ok: boolean, value: Check['value']): Check => ({ name, ok, value });
  const scene = own
    ? []
    : [
        check('detections', report.detections > 0, report.detections),
        check('events of both walkers', report.events >= WALKERS, report.events),
      ];
  return [
    check('board online', device.presence?.online === true, device.presence?.online ?? null),
    ...scene,
    check('frames at the MJPEG viewer', report.mjpegFrames >= MIN_VIEWER_FRAMES && damaged === 0, report.mjpegFrames),
    check('active model changed', swap.release.digest !== fromDigest, swap.release.digest.slice(0, 12)),
    check('in sync on the server', device.reported?.active?.release.digest === swap.release.digest, swap.generation),
    check('frames missed by the swap', figures.framesMissed === 0, figures.framesMissed),
    check(
      'stream did not freeze (longest gap, ms)',
      figures.longestGapMs <= Math.max(2 * figures.steadyGapP99Ms, FREEZE_MS),
      rounded(figures.longestGapMs),
    ),
    check('from assignment to live under 2 s (ms)', swap.durationMs < MAX_DURATION_MS, rounded(swap.durationMs)),
    check('no client disconnected', swap.disconnected.length === 0, swap.disconnected.length),
    check('track ids went on', swap.idsContinue !== false, swap.idsContinue),
  ];
}

function fillFigures(report: DemoReport, observers: Observers, fromMs: number): void {
  const frames = observers.viewer.frames.filter((frame) => frame.arrivalMs >= fromMs);
  const spanMs = (frames.at(-1)?.arrivalMs ?? 0) - (frames[0]?.arrivalMs ?? 0);
  const latency = percentiles(observers.live.frames.map((frame) => frame.latencyMs));
  report.board = {
    fps: rounded(((frames.length - 1) * 1000) / spanMs),
    latencyMs: { p50: rounded(latency.p50), p95: rounded(latency.p95) },
  };
  report.detections = observers.live.detections;
  report.mjpegFrames = observers.viewer.frames.length;
}

/**
 * The story. Fills `report` as it goes, so that a story that ends early still says how far it came. Resolves with the
 * running world; throws what went wrong.
 */
export async function tellStory(
  rig: Rig,
  options: DemoOptions,
  narrator: Narrator,
  report: DemoReport,
): Promise<DemoWorld> {
  const own = options.source !== undefined;
  narrator.step('Starting a fleet server: registry, signed metadata and MQTT broker');
  const { server, tokenFile, boardPort, fresh } = await startDemoServer(rig, options);
  narrator.note(`data in ${rig.directory}`);
  narrator.done(`${fresh ? 'ready' : 'ready, going on with the data of an earlier run'} at ${server.httpUrl}`);

  narrator.step('Enrolling one board and starting it');
  const board = await startDemoBoard(rig, server, boardPort, options.source ?? CLIP, own);
  narrator.done(`its camera delivers${fresh ? '; no model yet' : ''}. Page: ${board.client.base}`);

  narrator.step('Publishing the FP32 and the INT8 release; a gate stands between them and the board');
  const fp32 = await publishDirectory(server.client, FP32_PACKAGE);
  const int8 = await publishDirectory(server.client, INT8_PACKAGE);
  for (const release of [fp32, int8]) narrator.note(published(report, release));
  const gated = [
    { release: fp32, directory: FP32_PACKAGE },
    { release: int8, directory: INT8_PACKAGE },
  ];
  report.checks = await certifyReleases(server, DEVICE, gated, narrator, report);

  narrator.step('Assigning the FP32 release to the board');
  const reports = await MqttObserver.connect(server.mqttUrl, server.adminToken, DEVICE);
  const guard = (): void => rig.assertRunning();
  await assignAndAwaitCommit({ fleet: server.client, deviceId: DEVICE, reports, guard }, fp32);
  narrator.done('came over MQTT in chunks, signatures and golden test held, detecting');

  narrator.step(own ? 'Watching your source' : 'Watching the yard');
  const observers = await connectObservers(rig, server, board, DEVICE, reports);
  const watchingSince = performance.now();
  const watchingSinceWall = Date.now();
  await watchScene(observers, narrator, own, watchingSinceWall);

  narrator.step('Swapping the INT8 release in while we watch');
  await awaitSteady(observers, watchingSince + 1000, STEADY_MS, own ? 1000 : SCENE_PATIENCE_MS);
  const swap = await observeSwap(observers, int8, watchingSince + 1000);
  narrator.done(
    `first frame of the new model ${ms(swap.durationMs)} after the assignment, kept after ${ms(swap.committedMs)}`,
  );
  const { figures, tracks } = swap;
  narrator.note(
    `${figures.framesMissed} of ${figures.windowFrames} frames missed, counted by the viewer from frame numbers`,
  );
  narrator.note(
    `longest gap ${ms(figures.longestGapMs)}; before the swap 99 % were under ${ms(figures.steadyGapP99Ms)}`,
  );
  if (tracks !== null && tracks.before > 0) narrator.note(`tracks that went on: ${tracks.ids.join(', ') || 'none'}`);

  const device = await inSync(observers);
  narrator.done('the server has the board’s report: in sync');
  fillFigures(report, observers, watchingSince);
  report.events = await storedEvents(observers, watchingSinceWall);
  report.swap = {
    framesMissed: figures.framesMissed,
    longestGapMs: rounded(figures.longestGapMs),
    steadyGapP99Ms: rounded(figures.steadyGapP99Ms),
    durationMs: rounded(swap.durationMs),
  };
  report.checks.push(...judge(report, swap, device, fp32.digest, observers.viewer.damaged, own));
  report.ok = report.checks.every((check) => check.ok);
  await closeObservers(observers);
  return { server, board, tokenFile };
}

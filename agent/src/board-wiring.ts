import { randomUUID } from 'node:crypto';
import type { Event } from '@vigie/protocol';
import type { AnnotatedStream } from './io/annotated-stream.js';
import type { BoardSensors } from './io/board-sensors.js';
import type { BoardView, Health, ModelInfo } from './io/board-view.js';
import type { FfmpegCamera } from './io/ffmpeg-camera.js';
import { LiveSocketHub } from './io/live-socket.js';
import type { CapturedFrame, Clock, FrameResult, ModelFrameSpec } from './ports.js';
import type { Log } from './update/ports.js';
import type { Updater } from './update-wiring.js';
import { FrameFigures } from './vision/frame-figures.js';
import type { FrameLoop } from './vision/live-detector.js';
import { MetricsText } from './vision/metrics-text.js';
import { statusLine } from './vision/overlay.js';
import { Scene } from './vision/scene.js';
import { TelemetryWindow } from './vision/telemetry.js';

export interface BoardDependencies {
  clock: Clock;
  log: Log;
  camera: FfmpegCamera;
  loop: FrameLoop;
  updater: Updater;
  stream: AnnotatedStream;
  sensors: BoardSensors;
  /** Score from which a detection counts fully, until a model names its own. */
  threshold: number;
  modelFrame: ModelFrameSpec;
  telemetryEveryMs: number;
  /** Files played faster than they were filmed: things move by the film's own time. */
  unpaced: boolean;
}

const MAX_RECENT_EVENTS = 500;
/** Events end when no frame has come for so long. */
const CAMERA_LOST_MS = 10_000;
const MAX_SNAPSHOT_BYTES = 120_000;
const DEFAULT_FRAME_MS = 40;

/** One board at work: frames become tracks, events, pictures and figures. Wiring, no decisions. */
export class Board implements BoardView {
  readonly stream: AnnotatedStream;
  readonly live = new LiveSocketHub();
  private readonly scene: Scene;
  private readonly figures = new FrameFigures();
  private readonly telemetry: TelemetryWindow;
  private readonly events: Event[] = [];
  private readonly startedAt: number;
  private readonly startedWall: number;
  private eventCount = 0;
  private seenModel = '';
  private lastWallMs = 0;
  private onEnded = () => {};
  private cancelTelemetry = () => {};
  private cancelLost: (() => void) | null = null;

  constructor(private readonly dependencies: BoardDependencies) {
    const { clock, threshold, stream } = dependencies;
    this.stream = stream;
    this.startedAt = clock.now();
    this.startedWall = clock.wall();
    this.scene = new Scene(threshold, () => randomUUID());
    this.telemetry = new TelemetryWindow(this.startedAt);
  }

  /** Starts the camera; frames flow from now on. */
  start(): void {
    const { camera, loop, updater, log } = this.dependencies;
    loop.onFrame((result, frame) => this.see(result, frame));
    loop.onCrash((crash) => log.error(crash, 'the live inference child died'));
    updater.onPhase(() => this.announceModel());
    updater.onConfiguration((configuration) => {
      for (const draft of this.scene.configure(configuration, this.dependencies.clock.wall())) this.publishEvent(draft);
    });
    camera.onState(() => this.cameraChanged());
    camera.start((frame) => loop.offer(frame));
    this.scheduleTelemetry();
  }

  /** Calls back when a file that does not loop has been played and its last frame dealt with. */
  onEnd(listener: () => void): void {
    this.onEnded = listener;
  }

  /** Ends open events. The processes are ended by who started them. */
  stop(): void {
    this.cancelTelemetry();
    this.cancelLost?.();
    this.endEvents();
  }

  health(): Health {
    const { clock, camera, loop, updater } = this.dependencies;
    const { phase, error, connected, outbox, bootId } = updater.status();
    const latency = this.figures.latencyMs();
    return {
      ok: camera.state.status === 'streaming' && loop.active !== null,
      uptimeSeconds: (clock.now() - this.startedAt) / 1000,
      camera: { ...camera.state },
      detector: {
        digest: loop.active?.digest ?? null,
        restarts: loop.restarts,
        framesProcessed: this.figures.processed,
        fps: this.figures.fps(clock.now()),
        latencyMs: latency,
        drops: loop.drops,
        ...(loop.startError === null ? {} : { error: loop.startError }),
      },
      link: { connected, bootId, outbox },
      install: { phase, error },
    };
  }

  modelInfo(): ModelInfo | null {
    const { loop, updater, modelFrame } = this.dependencies;
    const detector = loop.active;
    if (detector === null) return null;
    const { name, version, precision, digest, labels, runtime } = detector;
    const { active, previous, candidate } = updater.status();
    const running = active?.release.digest === digest ? active : null;
    return {
      ...{ name, version, precision, digest, labels, runtime },
      input: modelFrame,
      framesRun: running?.framesRun ?? 0,
      since: running?.since ?? new Date(this.startedWall).toISOString(),
      slots: { active: active?.release ?? null, candidate, previous },
    };
  }

  recentEvents(limit: number): Event[] {
    return this.events.slice(-limit).reverse();
  }

  metrics(): string {
    const health = this.health();
    const { detector } = health;
    const text = new MetricsText()
      .gauge('vigie_up', 'The camera streams and a detector lives.', health.ok ? 1 : 0)
      .gauge('vigie_uptime_seconds', 'Time since the start of the agent.', health.uptimeSeconds)
      .counter('vigie_frames_total', 'Frames detected on.', detector.framesProcessed)
      .gauge('vigie_fps', 'Frames detected on per second.', detector.fps)
      .counter('vigie_inference_restarts_total', 'Deaths of live inference children.', detector.restarts)
      .counter('vigie_events_total', 'Event messages.', this.eventCount)
      .gauge('vigie_events_open', 'Events that have not ended.', this.scene.openEvents)
      .gauge('vigie_viewers', 'MJPEG viewers.', this.stream.viewerCount)
      .counter('vigie_pictures_total', 'JPEG pictures encoded.', this.stream.counters.encoded)
      .gauge('vigie_link_connected', 'The fleet can be reached.', health.link.connected ? 1 : 0);
    for (const [quantile, value] of Object.entries(detector.latencyMs ?? {})) {
      text.gauge('vigie_latency_ms', 'Arrival of a frame to its result.', value, { quantile });
    }
    for (const [reason, count] of Object.entries(detector.drops)) {
      text.counter('vigie_drops_total', 'Frames not detected on.', count, { reason });
    }
    const model = this.dependencies.loop.active;
    if (model !== null) {
      const { name, version, precision, digest } = model;
      text.gauge('vigie_model_info', 'The live model.', 1, { name, version, precision, digest });
    }
    return text.toString();
  }

  private see(result: FrameResult, frame: CapturedFrame): void {
    const { camera, clock, loop } = this.dependencies;
    this.figures.add(result);
    this.telemetry.add(result);
    if (this.seenModel !== result.digest) this.modelChanged(result.digest);
    const moment = this.momentOf(result);
    this.lastWallMs = moment.wallMs;
    const { width, height } = camera.view;
    const { tracks, drafts } = this.scene.see(result, { ...moment, width, height });
    for (const draft of drafts) this.publishEvent(draft);
    const { sequence, digest } = result;
    if (this.stream.wanted) {
      const status = statusLine(loop.active, this.figures.fps(clock.now()), sequence);
      this.stream.offer(frame.view, width, height, { sequence, capturedAtMs: moment.wallMs, digest, tracks, status });
    }
    if (this.live.clientCount > 0) {
      this.live.broadcastFrame({
        type: 'frame',
        sequence,
        at: moment.wallMs,
        digest,
        latencyMs: result.doneAt - result.capturedAt,
        tracks: tracks
          .filter((track) => !track.coasting)
          .map(({ id, label, score, box }) => ({ id, label, score, box })),
      });
    }
  }

  private momentOf(result: FrameResult): { sceneMs: number; wallMs: number } {
    const { clock, camera, unpaced } = this.dependencies;
    if (!unpaced) {
      const age = clock.now() - result.capturedAt;
      return { sceneMs: result.capturedAt, wallMs: clock.wall() - age };
    }
    const sceneMs = result.sequence * (camera.frameMs ?? DEFAULT_FRAME_MS);
    return { sceneMs, wallMs: this.startedWall + sceneMs };
  }

  private publishEvent(draft: Omit<Event, 'bootId' | 'sequence'>): void {
    const { updater, log } = this.dependencies;
    this.eventCount += 1;
    const event: Event = { bootId: updater.status().bootId, sequence: this.eventCount, ...draft };
    this.events.push(event);
    if (this.events.length > MAX_RECENT_EVENTS) this.events.shift();
    updater.publishEvent(draft);
    this.live.broadcastEvent(event);
    log.info(
      {
        event: draft.id,
        type: draft.type,
        track: draft.trackId,
        label: draft.label,
        score: draft.score,
        frame: draft.frame.sequence,
      },
      'event',
    );
    if (draft.type === 'start' && updater.status().connected) void this.sendSnapshot(draft.id);
  }

  private async sendSnapshot(eventId: string): Promise<void> {
    try {
      const jpeg = await this.stream.snapshot();
      if (jpeg.length <= MAX_SNAPSHOT_BYTES) await this.dependencies.updater.publishSnapshot(eventId, jpeg);
    } catch (error) {
      this.dependencies.log.debug({ event: eventId, err: (error as Error).message }, 'no snapshot of the event');
    }
  }

  private modelChanged(digest: string): void {
    const { loop } = this.dependencies;
    // The pointer may have moved on since this frame; the next result tells.
    if (loop.active?.digest !== digest) return;
    this.seenModel = digest;
    if (loop.active.threshold !== undefined) this.scene.useThreshold(loop.active.threshold);
    this.announceModel();
  }

  private announceModel(): void {
    const { loop, updater } = this.dependencies;
    const detector = loop.active;
    if (detector === null) return;
    const { digest, name, version, precision } = detector;
    this.live.broadcastModel({ type: 'model', digest, name, version, precision, phase: updater.status().phase });
  }

  private cameraChanged(): void {
    const { camera, clock } = this.dependencies;
    const { state } = camera;
    if (state.status === 'streaming') {
      this.cancelLost?.();
      this.cancelLost = null;
      return;
    }
    if (state.status === 'starting') return;
    this.stream.noSignal(state.status === 'ended' ? 'the file has ended' : `no camera: ${state.reason}`);
    if (state.status === 'ended') this.onEnded();
    this.cancelLost ??= clock.after(state.status === 'ended' ? 0 : CAMERA_LOST_MS, () => this.endEvents());
  }

  private endEvents(): void {
    for (const draft of this.scene.end(Math.max(this.lastWallMs, this.dependencies.clock.wall())))
      this.publishEvent(draft);
  }

  private scheduleTelemetry(): void {
    const { clock, loop, updater, sensors, telemetryEveryMs } = this.dependencies;
    this.cancelTelemetry = clock.after(telemetryEveryMs, () => {
      updater.publishTelemetry(
        this.telemetry.take({
          nowMs: clock.now(),
          wallMs: clock.wall(),
          drops: loop.drops,
          restarts: loop.restarts,
          modelDigest: loop.active?.digest ?? null,
          board: sensors.sample(),
        }),
      );
      this.scheduleTelemetry();
    });
  }
}

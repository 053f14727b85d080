import type { InputSpec } from '@vigie/models/package/manifest';
import type { OpenPackage } from '@vigie/models/package/package';
import type { Detection } from '@vigie/models/runtime/detection';
import type { ContentRectangle } from '@vigie/models/runtime/frame';
import type { MessageKind, MessageOf } from '@vigie/protocol';

/** What the pure code asks of the world. Adapters stand in `io/`; only `main.ts` names them. */

/** Monotonic and wall time, and timers, as an argument. */
export interface Clock {
  /** Monotonic, ms. */
  now(): number;
  /** Wall clock, ms since 1970. */
  wall(): number;
  /** Runs once after `ms`; returns a function that cancels it. */
  after(ms: number, run: () => void): () => void;
}

/** The size and shape in which the camera scales frames for the model. */
export type ModelFrameSpec = Pick<InputSpec, 'width' | 'height' | 'resize' | 'pad' | 'anchor'>;

/**
 * One captured frame in buffers that are used again: valid until `release()` is called, never after.
 * `model`: G, B, R planes, 3 × width × height. `view`: yuv420p, 1.5 × width × height of the camera's view size.
 */
export interface CapturedFrame {
  /** Grows by one for each frame the camera delivered, over reconnects too; a gap is a dropped frame. */
  readonly sequence: number;
  /** Monotonic time of the last byte's arrival, ms. */
  readonly capturedAt: number;
  readonly model: Uint8Array;
  /** Width and height of `model`, pixels; what the camera was told to deliver when absent. */
  readonly modelSize?: Readonly<{ width: number; height: number }>;
  readonly view: Uint8Array;
  /** Where the picture stands inside `model`; the whole frame when absent. */
  readonly content?: ContentRectangle;
  release(): void;
}

export type CameraState =
  | { status: 'starting' }
  | { status: 'streaming'; width: number; height: number }
  | { status: 'retrying'; attempt: number; nextAttemptInMs: number; reason: string }
  | { status: 'ended' };

export interface Camera {
  /** Starts capture; reconnects by itself with backoff. Frames arrive one at a time; drops are the consumer's business. */
  start(onFrame: (frame: CapturedFrame) => void): void;
  readonly state: CameraState;
  /** Size of `view` frames, pixels. */
  readonly view: { width: number; height: number };
  /** Lossless mode: hold the source until `resume` (files only). */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

/** Result of one frame by one model. */
export interface InferenceResult {
  detections: Detection[];
  /** Stage times in the child, ms: `preprocess`, `inference`, `decode`. */
  stagesMs: { preprocess: number; inference: number; decode: number };
}

/** A loaded model that detects: one child process. */
export interface Detector {
  readonly digest: string;
  readonly name: string;
  readonly version: string;
  readonly precision: string;
  readonly labels: readonly string[];
  /** Runtime as `/model/info` shows it, e.g. `onnxruntime-node 1.30.0 cpu`. */
  readonly runtime: string;
  /** Score from which a detection of this model counts on this board, 0..1; absent: not known. */
  readonly threshold?: number;
  readonly pid: number;
  /**
   * Detects on G, B, R planes of `width` × `height`. One call at a time. Rejects when the child died. `planes` may be reused once settled.
   * `content`: where the picture stands inside the frame (letterbox); the whole frame by default. Boxes are 0..1 of that picture.
   * Returns detections down to the tracker's DETECTION_FLOOR, not only those over the package's own threshold.
   */
  detect(planes: Uint8Array, width: number, height: number, content?: ContentRectangle): Promise<InferenceResult>;
  /** Takes the child out of low priority once it is live. */
  promote(): void;
  /** Its self-test is over: from now on it is not slowed down for the live one's sake, and its times count. */
  tested?(): void;
  /** Ends the child after the call in flight. */
  close(): Promise<void>;
  /** Ends a child that answers too late, at once; for its listeners it has crashed. */
  kill(reason: string): void;
  /** Runs once when the child has died unasked; soon, when it is dead already. */
  onCrash(listener: (reason: string) => void): void;
}

/** Starts children. */
export interface DetectorFactory {
  /**
   * `directory` holds an unpacked, verified package. `open`: what was found when all of it was checked a moment ago; without
   * it the child checks the folder itself, which takes longer.
   */
  spawn(directory: string, priority: 'live' | 'background', open?: OpenPackage): Promise<Detector>;
}

/** The connection to the fleet. Messages are journaled and acknowledged by higher layers. */
export interface Link {
  publish<K extends MessageKind>(kind: K, topic: string, message: MessageOf<K>): Promise<void>;
  publishBytes(topic: string, bytes: Uint8Array, options: { qos: 0 | 1; retain: boolean }): Promise<void>;
  /**
   * Calls back with raw payloads of one exact topic until the returned function is called; `onTooLarge` with the size of
   * one that is over the limit of the wire and was thrown away.
   */
  subscribe(
    topic: string,
    listener: (payload: Uint8Array) => void,
    onTooLarge?: (bytes: number) => void,
  ): Promise<() => Promise<void>>;
  readonly connected: boolean;
  /** Bytes that came over all its connections so far, where that can be told: a message that was cut off counts too. */
  readonly receivedBytes?: number;
}

/** One frame's way through the live detector. */
export interface FrameResult {
  sequence: number;
  /** Monotonic, ms: arrival of the frame, and of its result. */
  capturedAt: number;
  doneAt: number;
  /** Digest of the model that detected. */
  digest: string;
  detections: Detection[];
  stagesMs: { capture: number; preprocess: number; inference: number; decode: number };
  /** Another child worked on a frame at the same time, so the times say less about this model. */
  overlapped?: boolean;
}

/** One model's view of a frame that two have seen. */
export interface ComparedView {
  digest: string;
  /** All that this model can name. */
  labels: readonly string[];
  /** Score from which its detections count; absent: not known. */
  threshold?: number;
  detections: Detection[];
  /** Time in the child, ms: preprocess + inference + decode. */
  childMs: number;
}

/** The same frame seen by the live model and by another: the warm one of a trial, or the candidate of a shadow run. */
export interface FrameComparison {
  sequence: number;
  live: ComparedView;
  other: ComparedView;
}

/** How warm the board is, as it says itself; null where it has no such sensor. */
export interface BoardHeat {
  /** Degrees Celsius. */
  temperatureC: number | null;
  /** The firmware slows the processor down, for heat or for lack of voltage. */
  throttled: boolean | null;
}

/** The one place where models meet frames: the detector's pointer. Implemented by `vision/live-detector.ts`. */
export interface LiveDetector {
  readonly active: Detector | null;
  /** Deaths of live children since the agent's start. */
  readonly restarts: number;
  /** Monotonic history for swap figures: frames delivered by the camera and not detected on, by reason. */
  readonly drops: Readonly<Record<string, number>>;
  onResult(listener: (result: FrameResult) => void): () => void;
  onComparison(listener: (comparison: FrameComparison) => void): () => void;
  /** A live child died. During a trial the pointer has already been turned back to the warm model when this is called. */
  onCrash(listener: (crash: { digest: string; reason: string }) => void): () => void;
  /**
   * Shows one live frame in `everyFrames` to `candidate` too. Only `onComparison` hears what it says: it has no part in results,
   * drops, restarts and crashes, and when it dies or hangs the live model goes on. The candidate stays the caller's, who hears of
   * its death by `candidate.onCrash` and closes it. Throws TurnError TRIAL_RUNNING, SHADOW_RUNNING.
   */
  beginShadow(candidate: Detector, everyFrames: number): void;
  /** Ends the shadow run once its last frame is back; the candidate stays loaded, ready for `turnTo`. Nothing without a run. */
  endShadow(): Promise<void>;
  /**
   * Turns the pointer to `next` between two frames and keeps the present detector warm: it sees one frame in `compareEvery`.
   * Resolves with the first live result of `next`. `directory` is used to start it again after a crash.
   * Rejects with TurnError TRIAL_RUNNING, SHADOW_RUNNING (nothing was touched), CANDIDATE_DIED, TURNED_BACK (the previous model runs).
   */
  turnTo(next: Detector, directory: string, compareEvery: number): Promise<FrameResult>;
  /**
   * The swap of a board without memory for two: ends the present child first, then calls `load`, and goes on like `turnTo` with
   * no warm model beside it. Frames in between are dropped with the reason `swap` (a source that can wait does). Rejects with
   * what `load` threw, after the previous model was loaded again or, when that failed, is being tried again and again; otherwise
   * as `turnTo`. `load` closes what it started when it throws.
   */
  stopThenTurn(load: () => Promise<Detector>, directory: string): Promise<FrameResult>;
  /** The trial ended well: closes the warm detector. */
  commit(): Promise<void>;
  /**
   * Turns the pointer back to the warm detector and closes the candidate. After a stop-swap the other way round: closes the
   * candidate, then loads the previous model; resolves when that runs, or has failed once and is tried again.
   */
  turnBack(): Promise<void>;
}

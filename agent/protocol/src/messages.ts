import { type Static, Type } from '@sinclair/typebox';
import { DeviceConfiguration, ReportedConfiguration } from './configuration.js';
import { BootId, Counter, DeviceId, Instant, NormalisedBox, ReleaseReference, Sha256 } from './identifiers.js';
import { Agreement, InstallErrorCode, InstallPhase, SwapPlan, SwapReport } from './install.js';
import { DeliveryPolicy, ShadowPolicy, TrialPolicy } from './policies.js';

const Share = Type.Number({ minimum: 0, maximum: 1 });
const Milliseconds = Type.Number({ minimum: 0 });

/** What the server wants of a device. Signed: it is the payload of a DSSE envelope. */
export const Desired = Type.Object({
  deviceId: DeviceId,
  generation: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  issuedAt: Instant,
  /** The release the device shall run; null: leave it as it is. */
  release: Type.Union([ReleaseReference, Type.Null()]),
  /** Try a digest again that failed on this board before. */
  retry: Type.Optional(Type.Boolean()),
  /** Overrides single thresholds of the release, which override the defaults. */
  trial: Type.Optional(Type.Partial(TrialPolicy)),
  /** Let the candidate look at frames beside the live model first; absent: no. */
  shadow: Type.Optional(ShadowPolicy),
  delivery: Type.Optional(DeliveryPolicy),
  /** What to look for; absent: everything that the model names, everywhere. */
  configuration: Type.Optional(DeviceConfiguration),
});
export type Desired = Static<typeof Desired>;

/** A one-off request. Signed likewise; ignored after `expiresAt`. */
export const Command = Type.Object({
  deviceId: DeviceId,
  id: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }),
  issuedAt: Instant,
  expiresAt: Instant,
  command: Type.Union([
    Type.Object({ kind: Type.Literal('identify') }),
    Type.Object({ kind: Type.Literal('snapshot') }),
    /** For lab boards: measure a release that no gate has certified yet; the reply holds a BenchmarkResult. */
    Type.Object({
      kind: Type.Literal('benchmark'),
      release: ReleaseReference,
      samples: Type.Integer({ minimum: 10, maximum: 2000 }),
      /** The board gives up after this, s. */
      timeoutSeconds: Type.Integer({ minimum: 10, maximum: 86_400 }),
    }),
    /** The newest lines of the agent's log, at most 100 KiB of them. */
    Type.Object({ kind: Type.Literal('logs'), lines: Type.Integer({ minimum: 1, maximum: 1000 }) }),
  ]),
});
export type Command = Static<typeof Command>;

/** Newest report, event or reply of a boot that is committed to the server's database. */
export const Ack = Type.Object({ bootId: BootId, sequence: Counter });
export type Ack = Static<typeof Ack>;

/** A model as it runs on the board, with proof of running. */
export const RunningModel = Type.Object({
  release: ReleaseReference,
  /** Frames this model has detected on since `since`. */
  framesRun: Counter,
  since: Instant,
});
export type RunningModel = Static<typeof RunningModel>;

/** What a device says it runs. Retained. */
export const Reported = Type.Object({
  bootId: BootId,
  sequence: Counter,
  at: Instant,
  /** Generation of the desired state this report answers; 0 before the first. */
  generation: Counter,
  phase: Type.Union([Type.Literal('IDLE'), InstallPhase]),
  active: Type.Union([RunningModel, Type.Null()]),
  candidate: Type.Union([ReleaseReference, Type.Null()]),
  error: Type.Union([Type.Object({ code: InstallErrorCode, message: Type.String({ maxLength: 500 }) }), Type.Null()]),
  /** Present once a swap has ended. */
  swap: Type.Optional(SwapReport),
  /** Present from PREFLIGHT on. */
  plan: Type.Optional(SwapPlan),
  /** What a shadow run or a trial found where both models saw the same frames. */
  agreement: Type.Optional(Agreement),
  /** The board goes on by itself: which attempt this was (1 is the first), and when the next one comes. */
  retry: Type.Optional(Type.Object({ attempt: Counter, at: Instant })),
  /** Present while a download runs. */
  progress: Type.Optional(Type.Object({ bytes: Counter, totalBytes: Counter })),
  /** What the download of this generation took from the line. */
  delivery: Type.Optional(
    Type.Object({
      transport: Type.Union([Type.Literal('mqtt'), Type.Literal('https')]),
      /** Bytes of chunks that were fetched, thrown away ones included. */
      fetchedBytes: Counter,
    }),
  ),
  /** Present once a configuration was asked for. */
  configuration: Type.Optional(ReportedConfiguration),
  /** False: the board's clock cannot be believed; its times are the newest proven ones. */
  timeTrusted: Type.Optional(Type.Boolean()),
  agentVersion: Type.String({ maxLength: 64 }),
  hardwareClass: Type.String({ maxLength: 64 }),
});
export type Reported = Static<typeof Reported>;

/** Birth and last will share one retained topic; the boot id keeps a late will from marking a reconnected board offline. */
export const Presence = Type.Object({ bootId: BootId, online: Type.Boolean(), at: Type.Optional(Instant) });
export type Presence = Static<typeof Presence>;

/** Latency of one stage over the telemetry window, ms. */
export const StageLatency = Type.Object({ p50: Milliseconds, p95: Milliseconds, p99: Milliseconds });
export type StageLatency = Static<typeof StageLatency>;

export const Telemetry = Type.Object({
  bootId: BootId,
  sequence: Counter,
  at: Instant,
  /** Length of the window the figures cover, s. */
  windowSeconds: Type.Number({ minimum: 0 }),
  /** Frames detected on per second. */
  fps: Type.Number({ minimum: 0 }),
  /** By stage: `capture`, `inference`, `decode`, `total`. */
  latencyMs: Type.Record(Type.String({ maxLength: 32 }), StageLatency),
  /** Frames not detected on, by reason, in the window. */
  drops: Type.Record(Type.String({ maxLength: 32 }), Counter),
  /** Processor time of the agent, its children and ffmpeg over wall time (1 = one core). */
  cpu: Type.Number({ minimum: 0 }),
  /** Resident memory of the same processes, bytes. */
  memoryBytes: Counter,
  /** Space for the agent's data that is left, bytes. */
  diskFreeBytes: Type.Optional(Counter),
  temperatureC: Type.Union([Type.Number(), Type.Null()]),
  throttled: Type.Union([Type.Boolean(), Type.Null()]),
  /** Counts of detections by score in ten equal bins 0..1. */
  scoreHistogram: Type.Array(Counter, { minItems: 10, maxItems: 10 }),
  /** Counts of detections by box area as share of the frame, ten bins: 2^-10..1. */
  boxAreaHistogram: Type.Array(Counter, { minItems: 10, maxItems: 10 }),
  modelDigest: Type.Union([Sha256, Type.Null()]),
  inferenceRestarts: Counter,
});
export type Telemetry = Static<typeof Telemetry>;

/** What a rule saw. The same `id` goes through start, update and end. */
export const Event = Type.Object({
  bootId: BootId,
  sequence: Counter,
  id: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }),
  type: Type.Union([Type.Literal('start'), Type.Literal('update'), Type.Literal('end')]),
  at: Instant,
  startedAt: Instant,
  endedAt: Type.Optional(Instant),
  trackId: Counter,
  label: Type.String({ maxLength: 64 }),
  /** The rule of the board's configuration that made it; absent: the board has no rules. */
  rule: Type.Optional(Type.String({ maxLength: 64 })),
  /** Zones that the object has stood in since the start of the event. */
  zones: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 32 })),
  /** How the object crossed the rule's line. */
  direction: Type.Optional(Type.Union([Type.Literal('left-to-right'), Type.Literal('right-to-left')])),
  /** Best score so far. */
  score: Share,
  box: NormalisedBox,
  frame: Type.Object({ sequence: Counter, width: Type.Integer({ minimum: 1 }), height: Type.Integer({ minimum: 1 }) }),
  modelDigest: Type.Union([Sha256, Type.Null()]),
  /** Stage timings of the frame that caused this message, ms. */
  stagesMs: Type.Record(Type.String({ maxLength: 32 }), Milliseconds),
});
export type Event = Static<typeof Event>;

/** Answer to a command. */
export const Reply = Type.Object({
  bootId: BootId,
  sequence: Counter,
  at: Instant,
  commandId: Type.String({ maxLength: 64 }),
  ok: Type.Boolean(),
  code: Type.Optional(Type.String({ maxLength: 64 })),
  result: Type.Optional(Type.Unknown()),
});
export type Reply = Static<typeof Reply>;

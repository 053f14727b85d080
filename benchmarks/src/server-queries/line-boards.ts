import {
  DELIVERY,
  type Desired,
  deviceTopic,
  type Envelope,
  encodeMessage,
  type MessageKind,
  type MessageOf,
  type Reported,
} from '@vigie/protocol';
import type { LineBroker } from './line-broker.js';
import { bootId, deviceId, SEEDED_SEQUENCE, type SeededRelease } from './seed-statements.js';

type ActiveModel = Reported['active'];

interface LineBoard {
  number: number;
  sequence: number;
  generation: number;
  active: ActiveModel;
}

/** Time that a board takes from an offer to its proof: so long, and up to so much longer, ms. */
const INSTALL_MS = 200;
const INSTALL_SPREAD_MS = 800;
const BINS = [1, 2, 4, 7, 12, 21, 30, 23, 9, 2];

/**
 * All boards of a seeded fleet behind one line: births, telemetry, and the two reports by which a board takes a release. They
 * check nothing and run nothing: they are as fast as boards can be, so that the server is what is waited for.
 */
export class LineBoards {
  readonly #boards: LineBoard[];
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #timers = new Set<NodeJS.Timeout>();
  #telemetry: NodeJS.Timeout | null = null;
  /** Boards that were told a release other than the one that they run: when each was, ms. */
  readonly toldAt: number[] = [];
  telemetrySent = 0;

  constructor(
    private readonly broker: LineBroker,
    release: SeededRelease,
    devices: number,
  ) {
    const since = new Date().toISOString();
    const { name, version, digest } = release;
    this.#boards = Array.from({ length: devices }, (_, number) => ({
      ...{ number, sequence: SEEDED_SEQUENCE, generation: 3 },
      active: { release: { name, version, digest }, framesRun: 100_000, since },
    }));
    this.#numbers = new Map(this.#boards.map(({ number }) => [deviceId(number), number]));
    broker.onPublish = (topic, payload) => this.#hear(topic, payload);
  }

  /** Every board says that it is there. */
  bear(): void {
    for (const { number } of this.#boards) this.#say(number, 'presence', { bootId: bootId(number), online: true });
  }

  /** Each board sends telemetry every so many seconds, one after the other. */
  startTelemetry(everySeconds: number): void {
    const tickMs = 20;
    const share = (this.#boards.length * tickMs) / (everySeconds * 1000);
    let [due, next] = [0, 0];
    this.#telemetry = setInterval(() => {
      for (due += share; due >= 1; due -= 1) {
        this.#measure(this.#boards[next]);
        next = (next + 1) % this.#boards.length;
      }
    }, tickMs);
  }

  stop(): void {
    if (this.#telemetry !== null) clearInterval(this.#telemetry);
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #hear(topic: string, payload: Buffer): void {
    const [, , area, id, kind] = topic.split('/');
    if (area !== 'devices' || kind !== 'desired' || payload.length === 0) return;
    const board = this.#boards[this.#numbers.get(id) ?? -1];
    const envelope = JSON.parse(payload.toString()) as Envelope;
    const desired = JSON.parse(Buffer.from(envelope.payload, 'base64').toString()) as Desired;
    if (board === undefined || desired.generation <= board.generation) return;
    board.generation = desired.generation;
    const { release } = desired;
    if (release === null || release.digest === board.active?.release.digest) {
      this.#report(board, 'COMMITTED', null);
      return;
    }
    this.toldAt.push(performance.now());
    this.#report(board, 'DOWNLOADING', release);
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        if (board.generation !== desired.generation) return;
        board.active = { release, framesRun: 40, since: new Date().toISOString() };
        this.#report(board, 'COMMITTED', null);
      },
      INSTALL_MS + Math.random() * INSTALL_SPREAD_MS,
    );
    this.#timers.add(timer);
  }

  #report(board: LineBoard, phase: Reported['phase'], candidate: Reported['candidate']): void {
    const { number, generation, active } = board;
    board.sequence += 1;
    this.#say(number, 'reported', {
      ...{
        bootId: bootId(number),
        sequence: board.sequence,
        at: new Date().toISOString(),
        generation,
        phase,
        active,
        candidate,
      },
      ...{ error: null, agentVersion: '0.1.0', hardwareClass: 'generic-x64' },
    });
  }

  #measure(board: LineBoard): void {
    const { number, active } = board;
    board.sequence += 1;
    this.telemetrySent += 1;
    const latency = (p50: number) => ({ p50, p95: p50 * 1.18, p99: p50 * 1.35 });
    this.#say(number, 'telemetry', {
      ...{
        bootId: bootId(number),
        sequence: board.sequence,
        at: new Date().toISOString(),
        windowSeconds: 10,
        fps: 8.1,
      },
      latencyMs: { capture: latency(4), inference: latency(85), decode: latency(3), total: latency(100) },
      ...{ drops: { busy: 70 }, cpu: 0.6, memoryBytes: 190_000_000, diskFreeBytes: 4_000_000_000, temperatureC: 55.2 },
      ...{ throttled: false, scoreHistogram: BINS, boxAreaHistogram: BINS, inferenceRestarts: 0 },
      modelDigest: active?.release.digest ?? null,
    });
  }

  #say<K extends MessageKind & ('presence' | 'reported' | 'telemetry')>(
    number: number,
    kind: K,
    message: MessageOf<K>,
  ): void {
    this.broker.publish(deviceTopic(deviceId(number), kind), kind, encodeMessage(kind, message), DELIVERY[kind].qos);
  }
}

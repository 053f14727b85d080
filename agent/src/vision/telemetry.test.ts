import { Value } from '@sinclair/typebox/value';
import { Telemetry } from '@vigie/protocol';
import { expect, it } from 'vitest';
import type { FrameResult } from '../ports.js';
import { TelemetryWindow } from './telemetry.js';

const board = { cpu: 0.5, memoryBytes: 1000, temperatureC: null, throttled: null };

function result(sequence: number, inference: number): FrameResult {
  return {
    sequence,
    capturedAt: sequence * 100,
    doneAt: sequence * 100 + inference + 1,
    digest: 'a'.repeat(64),
    detections: [{ classId: 0, label: 'person', score: 0.55, box: [0, 0, 0.5, 0.5] }],
    stagesMs: { capture: 1, preprocess: 0, inference, decode: 0.5 },
  };
}

it('tells of one window at a time, in the shape of the wire', () => {
  const window = new TelemetryWindow(0);
  for (let sequence = 1; sequence <= 20; sequence += 1) window.add(result(sequence, sequence));
  const moment = { wallMs: 0, restarts: 1, modelDigest: null, board };
  const first = window.take({ ...moment, nowMs: 2000, drops: { busy: 3 } });
  expect(first).toMatchObject({ windowSeconds: 2, fps: 10, drops: { busy: 3 }, inferenceRestarts: 1 });
  expect(first.latencyMs.inference).toEqual({ p50: 10, p95: 19, p99: 20 });
  expect(first.latencyMs.total.p50).toBe(11);
  expect(first.scoreHistogram[5]).toBe(20);
  expect(Value.Check(Telemetry, { bootId: '12345678', sequence: 1, ...first })).toBe(true);

  const second = window.take({ ...moment, nowMs: 4000, drops: { busy: 5, overrun: 0 } });
  expect(second).toMatchObject({ windowSeconds: 2, fps: 0, drops: { busy: 2 }, latencyMs: {} });
  expect(second.scoreHistogram[5]).toBe(0);
});

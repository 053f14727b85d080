import { describe, expect, it } from 'vitest';
import { AnswerReader } from './answer-reader.js';
import {
  ANSWER,
  ANSWER_HEADER_BYTES,
  decodeResult,
  encodeJsonAnswer,
  encodeResult,
  FRAME_HEADER_BYTES,
  MAX_ANSWER_BYTES,
  RESULT_BUFFER_BYTES,
  readFrameHeader,
  writeFrameHeader,
} from './child-protocol.js';

const result = {
  detections: [{ classId: 0, label: 'person', score: 0.4321, box: [0.1, 0.2, 0.30000001, 0.4] as const }],
  stagesMs: { preprocess: 0.1, inference: 9.5, decode: 0.2 },
};

describe('frame header', () => {
  it('carries size and content', () => {
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    writeFrameHeader(header, 2 ** 32 + 7, 320, 256, { x: 0, y: 0.25, width: 1, height: 0.5 });
    expect(readFrameHeader(header)).toEqual({
      sequence: 7,
      width: 320,
      height: 256,
      bytes: 3 * 320 * 256,
      content: { x: 0, y: 0.25, width: 1, height: 0.5 },
    });
  });

  it('is refused when it is noise or its sizes disagree', () => {
    const header = Buffer.alloc(FRAME_HEADER_BYTES, 0x41);
    expect(() => readFrameHeader(header)).toThrow(RangeError);
    writeFrameHeader(header, 1, 320, 320);
    header.writeUInt32LE(5, 16);
    expect(() => readFrameHeader(header)).toThrow(RangeError);
  });
});

describe('answers', () => {
  it('bring a result over exactly, cut anywhere', () => {
    const target = Buffer.alloc(RESULT_BUFFER_BYTES);
    const bytes = Buffer.concat([
      encodeJsonAnswer(ANSWER.ready, { name: 'é' }),
      target.subarray(0, encodeResult(target, result)),
    ]);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const reader = new AnswerReader();
      const answers: unknown[] = [];
      const take = (kind: number, body: Buffer) =>
        answers.push(kind === ANSWER.ready ? JSON.parse(body.toString('utf8')) : decodeResult(body, ['person']));
      reader.push(bytes.subarray(0, cut), take);
      reader.push(bytes.subarray(cut), take);
      expect(answers).toEqual([{ name: 'é' }, result]);
    }
  });

  it('are refused when too large or malformed', () => {
    const header = Buffer.alloc(ANSWER_HEADER_BYTES);
    header.writeUInt32LE(MAX_ANSWER_BYTES + 1, 4);
    expect(() => new AnswerReader().push(header, () => {})).toThrow(RangeError);
    expect(() => decodeResult(Buffer.alloc(25), [])).toThrow(RangeError);
  });

  it('keep to their buffer whatever the model says', () => {
    const target = Buffer.alloc(RESULT_BUFFER_BYTES);
    const detections = Array.from({ length: 100_000 }, () => result.detections[0]);
    const bytes = encodeResult(target, { ...result, detections });
    expect(bytes).toBeLessThanOrEqual(RESULT_BUFFER_BYTES);
    expect(decodeResult(target.subarray(ANSWER_HEADER_BYTES, bytes), ['person']).detections.length).toBeGreaterThan(
      1000,
    );
  });
});

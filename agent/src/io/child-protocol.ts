import type { OpenPackage } from '@vigie/models/package/package';
import type { Detection } from '@vigie/models/runtime/detection';
import { type ContentRectangle, WHOLE_FRAME } from '@vigie/models/runtime/frame';
import type { InferenceResult } from '../ports.js';

/**
 * What the agent and an inference child say to each other on file descriptor 3, one socket both ways, little endian.
 * Agent → child: once what to load (its header, then JSON), then frames: a header, then the planes. Child → agent: an
 * answer header, then its body.
 */

export const CHILD_FD = 3;
export const FRAME_HEADER_BYTES = 40;
export const ANSWER_HEADER_BYTES = 8;
export const LOAD_HEADER_BYTES = 8;
/** Larger frames or answers are a fault of the other side, bytes. */
export const MAX_FRAME_BYTES = 64 * 1024 * 1024;
export const MAX_ANSWER_BYTES = 1024 * 1024;
/** A manifest, its labels and the list of its files, as JSON. */
const MAX_LOAD_BYTES = 8 * 1024 * 1024;

const FRAME_MAGIC = 0x31464756; // "VGF1"
const LOAD_MAGIC = 0x314c4756; // "VGL1"

/** Kinds of answers: `warm` of a spare child, then `ready` or `refused`, then one `result` per frame. */
export const ANSWER = { ready: 1, refused: 2, result: 3, warm: 4 } as const;

/** What a child is to load. */
export interface LoadRequest {
  /** Folder of an unpacked package. */
  directory: string;
  /**
   * What the agent has found in the folder when it checked all of it: the child then reads the model file only, and
   * checks its hash against this manifest. Null: the child checks the folder itself.
   */
  open: OpenPackage | null;
}

/** A request with its header. */
export function encodeLoad(request: LoadRequest): Buffer {
  const json = Buffer.from(JSON.stringify(request), 'utf8');
  const message = Buffer.alloc(LOAD_HEADER_BYTES + json.length);
  message.writeUInt32LE(LOAD_MAGIC, 0);
  message.writeUInt32LE(json.length, 4);
  json.copy(message, LOAD_HEADER_BYTES);
  return message;
}

/** Length of the JSON that follows, bytes. Throws RangeError when it is no such header, or too large. */
export function readLoadHeader(source: Buffer): number {
  const bytes = source.readUInt32LE(4);
  if (source.readUInt32LE(0) !== LOAD_MAGIC || bytes > MAX_LOAD_BYTES) throw new RangeError('not a load request');
  return bytes;
}

/** First answer of a child that has loaded its model. */
export interface ReadyAnswer {
  digest: string;
  name: string;
  version: string;
  precision: string;
  labels: string[];
  runtime: string;
  /** Score from which a detection counts fully, 0..1. */
  threshold: number;
}

/** First and last answer of a child that has not. `code`: a PackageErrorCode, or MODEL_LOAD_FAILED for anything else. */
export interface RefusedAnswer {
  code: string;
  message: string;
}

export interface FrameHeader {
  sequence: number;
  width: number;
  height: number;
  /** 3 × width × height. */
  bytes: number;
  content: ContentRectangle;
}

/** Writes a header into `target`, FRAME_HEADER_BYTES long: magic, sequence, width, height, bytes, content (4 floats), 0. */
export function writeFrameHeader(
  target: Buffer,
  sequence: number,
  width: number,
  height: number,
  content: ContentRectangle = WHOLE_FRAME,
): void {
  target.writeUInt32LE(FRAME_MAGIC, 0);
  target.writeUInt32LE(sequence >>> 0, 4);
  target.writeUInt32LE(width, 8);
  target.writeUInt32LE(height, 12);
  target.writeUInt32LE(3 * width * height, 16);
  target.writeFloatLE(content.x, 20);
  target.writeFloatLE(content.y, 24);
  target.writeFloatLE(content.width, 28);
  target.writeFloatLE(content.height, 32);
  target.writeUInt32LE(0, 36);
}

/** Reads a header. Throws RangeError when it is none, or its sizes disagree. */
export function readFrameHeader(source: Buffer): FrameHeader {
  const header = {
    sequence: source.readUInt32LE(4),
    width: source.readUInt32LE(8),
    height: source.readUInt32LE(12),
    bytes: source.readUInt32LE(16),
    content: {
      x: source.readFloatLE(20),
      y: source.readFloatLE(24),
      width: source.readFloatLE(28),
      height: source.readFloatLE(32),
    },
  };
  const sane = header.bytes === 3 * header.width * header.height && header.bytes > 0 && header.bytes <= MAX_FRAME_BYTES;
  if (source.readUInt32LE(0) !== FRAME_MAGIC || !sane) throw new RangeError('not a frame header');
  return header;
}

/** A JSON answer with its header. */
export function encodeJsonAnswer(kind: (typeof ANSWER)['ready' | 'refused' | 'warm'], body: object): Buffer {
  const json = Buffer.from(JSON.stringify(body), 'utf8');
  const answer = Buffer.alloc(ANSWER_HEADER_BYTES + json.length);
  answer.writeUInt32LE(kind, 0);
  answer.writeUInt32LE(json.length, 4);
  json.copy(answer, ANSWER_HEADER_BYTES);
  return answer;
}

const STAGE_BYTES = 24;
const DETECTION_BYTES = 48;
const MAX_DETECTIONS = Math.floor((MAX_ANSWER_BYTES - STAGE_BYTES) / DETECTION_BYTES);

/** Room for the largest result, header included, bytes. */
export const RESULT_BUFFER_BYTES = ANSWER_HEADER_BYTES + STAGE_BYTES + MAX_DETECTIONS * DETECTION_BYTES;

/** Writes a result (three stage times, then class, score and box of each detection, all doubles); returns its length, bytes. */
export function encodeResult(target: Buffer, result: InferenceResult): number {
  const count = Math.min(result.detections.length, MAX_DETECTIONS);
  target.writeUInt32LE(ANSWER.result, 0);
  target.writeUInt32LE(STAGE_BYTES + count * DETECTION_BYTES, 4);
  let at = ANSWER_HEADER_BYTES;
  const put = (value: number): void => {
    at = target.writeDoubleLE(value, at);
  };
  put(result.stagesMs.preprocess);
  put(result.stagesMs.inference);
  put(result.stagesMs.decode);
  for (let index = 0; index < count; index += 1) {
    const { classId, score, box } = result.detections[index];
    put(classId);
    put(score);
    for (const side of box) put(side);
  }
  return at;
}

/** Reads the body of a result. Throws RangeError when it is malformed. */
export function decodeResult(body: Buffer, labels: readonly string[]): InferenceResult {
  const count = (body.length - STAGE_BYTES) / DETECTION_BYTES;
  if (!Number.isInteger(count) || count < 0) throw new RangeError(`result of ${body.length} bytes`);
  let at = 0;
  const take = (): number => {
    const value = body.readDoubleLE(at);
    at += 8;
    return value;
  };
  const stagesMs = { preprocess: take(), inference: take(), decode: take() };
  const detections: Detection[] = [];
  for (let index = 0; index < count; index += 1) {
    const classId = take();
    const score = take();
    detections.push({
      classId,
      label: labels[classId] ?? String(classId),
      score,
      box: [take(), take(), take(), take()],
    });
  }
  return { detections, stagesMs };
}

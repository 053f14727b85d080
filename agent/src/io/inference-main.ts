import { readSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openPackageDirectory } from '@vigie/models/package/package';
import { PackageError } from '@vigie/models/package/package-error';
import { loadModel } from '@vigie/models/runtime/load-model';
import {
  ANSWER,
  CHILD_FD,
  encodeJsonAnswer,
  encodeResult,
  FRAME_HEADER_BYTES,
  RESULT_BUFFER_BYTES,
  type ReadyAnswer,
  type RefusedAnswer,
  readFrameHeader,
} from './child-protocol.js';

/**
 * Entry of an inference child: `node inference-main.js --package DIR --threads N --threshold T --floor-ratio R`. It blocks on its socket
 * (it has nothing else to do), reads planes into one buffer that is used for every frame, and ends when the agent does.
 */

/** Fills `target` from the socket; false when the agent is gone. */
function readFully(target: Buffer): boolean {
  let filled = 0;
  while (filled < target.length) {
    const bytes = readSync(CHILD_FD, target, filled, target.length - filled, null);
    if (bytes === 0) return false;
    filled += bytes;
  }
  return true;
}

function writeFully(bytes: Buffer): void {
  let written = 0;
  while (written < bytes.length) written += writeSync(CHILD_FD, bytes, written, bytes.length - written);
}

function refuse(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof PackageError ? error.code : 'MODEL_LOAD_FAILED';
  writeFully(encodeJsonAnswer(ANSWER.refused, { code, message } satisfies RefusedAnswer));
}

async function load(directory: string, options: { threads: number; threshold: number; floorRatio: number }) {
  const open = await openPackageDirectory(directory);
  const { manifest } = open;
  // Never above the package's own threshold: its golden frames are tested with what this child returns.
  const own = manifest.thresholds.default;
  const threshold = Math.min(options.threshold, own) * options.floorRatio;
  const model = await loadModel(directory, open, { threshold, threads: options.threads });
  const ready: ReadyAnswer = {
    digest: open.digest,
    name: manifest.name,
    version: manifest.version,
    precision: manifest.model.precision,
    labels: open.labels,
    runtime: model.runtime,
    // 1 stands for "the operator has not named one".
    threshold: options.threshold < 1 ? options.threshold : own,
  };
  return { model, ready };
}

// A signal to the whole process group (Ctrl-C, a service manager) is the agent's to act on: it stops its children itself, and
// a child outlives the agent by no more than the end of its socket.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});

const { values } = parseArgs({
  options: {
    package: { type: 'string' },
    threads: { type: 'string', default: '1' },
    threshold: { type: 'string', default: '1' },
    'floor-ratio': { type: 'string', default: '1' },
  },
});

try {
  const { model, ready } = await load(values.package ?? '', {
    threads: Number(values.threads),
    threshold: Number(values.threshold),
    floorRatio: Number(values['floor-ratio']),
  });
  writeFully(encodeJsonAnswer(ANSWER.ready, ready));
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  const answer = Buffer.alloc(RESULT_BUFFER_BYTES);
  let planes = Buffer.alloc(0);
  while (readFully(header)) {
    const { width, height, bytes, content } = readFrameHeader(header);
    if (planes.length !== bytes) planes = Buffer.allocUnsafeSlow(bytes);
    if (!readFully(planes)) break;
    const whole = content.width === 1 && content.height === 1;
    const result = await model.detect({ width, height, data: planes }, whole ? undefined : content);
    writeFully(answer.subarray(0, encodeResult(answer, result)));
  }
} catch (error) {
  const code = (error as NodeJS.ErrnoException).code;
  // The agent went away in the middle of a frame: the way a child always ends when the agent is killed.
  if (code !== 'EPIPE' && code !== 'ECONNRESET') {
    refuse(error);
    process.exitCode = 1;
  }
}
process.exit();

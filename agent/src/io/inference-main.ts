import { readSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { OpenPackage } from '@vigie/models/package/package';
import { PackageError } from '@vigie/models/package/package-error';
import { loadModel } from '@vigie/models/runtime/load-model';
import {
  ANSWER,
  CHILD_FD,
  encodeJsonAnswer,
  encodeResult,
  FRAME_HEADER_BYTES,
  LOAD_HEADER_BYTES,
  type LoadRequest,
  RESULT_BUFFER_BYTES,
  type ReadyAnswer,
  type RefusedAnswer,
  readFrameHeader,
  readLoadHeader,
} from './child-protocol.js';

/**
 * Entry of an inference child: `node inference-main.js [--warm] --threads N --threshold T --floor-ratio R`. It blocks on
 * its socket (it has nothing else to do): first for what to load, then for planes, which are read into one buffer that is
 * used for every frame. It ends when the agent does. `--warm`: get ONNX Runtime ready before, and say so; a spare waits like that.
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

/** What to load; null when the agent is gone, or has no use for this spare. */
function readLoadRequest(): LoadRequest | null {
  const header = Buffer.alloc(LOAD_HEADER_BYTES);
  if (!readFully(header)) return null;
  const json = Buffer.alloc(readLoadHeader(header));
  return readFully(json) ? (JSON.parse(json.toString('utf8')) as LoadRequest) : null;
}

/** The whole check brings a YAML parser and schema compilers along: loaded only where nobody has checked before. */
async function openDirectory(directory: string): Promise<OpenPackage> {
  const { openPackageDirectory } = await import('@vigie/models/package/package');
  return openPackageDirectory(directory);
}

async function load(request: LoadRequest, options: { threads: number; threshold: number; floorRatio: number }) {
  const { directory } = request;
  const open = request.open ?? (await openDirectory(directory));
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
    warm: { type: 'boolean', default: false },
    threads: { type: 'string', default: '1' },
    threshold: { type: 'string', default: '1' },
    'floor-ratio': { type: 'string', default: '1' },
  },
});

async function serve(): Promise<void> {
  if (values.warm) {
    await import('@vigie/models/runtime/onnx-session');
    const { warmUpOnnxRuntime } = await import('@vigie/models/runtime/onnx-session-warm-up');
    await warmUpOnnxRuntime();
    writeFully(encodeJsonAnswer(ANSWER.warm, {}));
  }
  const request = readLoadRequest();
  if (request === null) return;
  const { model, ready } = await load(request, {
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
}

try {
  await serve();
} catch (error) {
  const code = (error as NodeJS.ErrnoException).code;
  // The agent went away in the middle of a frame: the way a child always ends when the agent is killed.
  if (code !== 'EPIPE' && code !== 'ECONNRESET') {
    refuse(error);
    process.exitCode = 1;
  }
}
process.exit();

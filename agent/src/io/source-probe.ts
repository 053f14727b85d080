import { execFile } from 'node:child_process';
import { parseProbe, probeArguments, redactCredentials, type Source, type SourceInfo } from './ffmpeg-arguments.js';

const PROBE_TIMEOUT_MS = 15_000;

export type ProbeResult = { ok: true; info: SourceInfo } | { ok: false; reason: string };

/** Asks ffprobe for size and rate of a source's first video stream. Never rejects. */
export function probeSource(source: Source, signal?: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const options = { timeout: PROBE_TIMEOUT_MS, killSignal: 'SIGKILL' as const, maxBuffer: 1 << 20, signal };
    execFile('ffprobe', probeArguments(source), options, (error, stdout, stderr) => {
      const info = error === null ? parseProbe(stdout) : null;
      if (info !== null) resolve({ ok: true, info });
      else resolve({ ok: false, reason: failure(error, stderr) });
    });
  });
}

function failure(error: Error | null, stderr: string): string {
  if ((error as NodeJS.ErrnoException | null)?.code === 'ENOENT') return 'ffprobe is not installed';
  if ((error as { killed?: boolean } | null)?.killed) return `no answer within ${PROBE_TIMEOUT_MS / 1000} s`;
  const line = stderr.trim().split('\n').at(-1) ?? '';
  return line === '' ? 'it holds no video stream' : redactCredentials(line).slice(0, 300);
}

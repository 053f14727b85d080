/** What may be spent on one job of a sandboxed process. */
export interface SandboxLimits {
  /** Wall clock of one job, the start of the process included. */
  timeoutMs: number;
  /** Resident memory of the process, bytes; its own data (heap, native allocations) may reach no more than this and a little. */
  memoryBytes: number;
}

/** How a job in a sandboxed process ended. Whatever foreign bytes do there, the calling process gets one of these. */
export type SandboxOutcome<T> =
  | { kind: 'ok'; value: T }
  /** The code there refused the job in an orderly way. */
  | { kind: 'refused'; code: string; message: string }
  /** The process ended, or answered nothing that makes sense. */
  | { kind: 'crashed'; signal: NodeJS.Signals | null; exitCode: number | null; detail: string }
  | { kind: 'timeout'; afterMs: number }
  | { kind: 'memory'; limitBytes: number };

/** One line of JSON on the child's standard output. It ran foreign bytes: checked like a message from the network. */
export type ChildAnswer = { ok: unknown } | { refused: { code: string; message: string } };

/** What an allocation that the kernel refused looks like, in JavaScript, in C++ and in ONNX Runtime. */
const NO_MEMORY = /heap out of memory|allocation failed|bad_alloc|Cannot allocate memory|Failed to allocate memory/i;

export function speaksOfMemory(text: string): boolean {
  return NO_MEMORY.test(text);
}

/** Reads a child's answer; null when it is none. Texts are cut to a bounded length. */
export function parseAnswer(line: string): SandboxOutcome<unknown> | null {
  let answer: unknown;
  try {
    answer = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof answer !== 'object' || answer === null) return null;
  if ('refused' in answer) {
    const refused = answer.refused;
    if (typeof refused !== 'object' || refused === null || !('code' in refused) || !('message' in refused)) return null;
    if (typeof refused.code !== 'string' || !/^[A-Z_]{1,64}$/.test(refused.code)) return null;
    return { kind: 'refused', code: refused.code, message: String(refused.message).slice(0, 1000) };
  }
  return Object.hasOwn(answer, 'ok') ? { kind: 'ok', value: (answer as { ok: unknown }).ok } : null;
}

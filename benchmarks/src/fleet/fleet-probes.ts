import { readFileSync } from 'node:fs';
import { percentile } from '../measure/percentiles.js';
import { readTreeUsage } from '../measure/process-tree.js';
import { pause } from '../rig/wait.js';

/** Runs `look` again and again until it is stopped; errors are counted, not thrown. */
abstract class Probe {
  #running: Promise<void> | null = null;
  #stopped = false;
  /** Looks that failed, and why the last one did. */
  errors = 0;
  lastError: string | null = null;

  start(everyMs: number): this {
    this.#running = (async () => {
      while (!this.#stopped) {
        try {
          await this.look();
        } catch (error) {
          this.errors += 1;
          this.lastError = (error as Error).message;
        }
        await pause(everyMs);
      }
    })();
    return this;
  }

  async stop(): Promise<this> {
    this.#stopped = true;
    await this.#running;
    return this;
  }

  protected abstract look(): Promise<void>;
}

/** Asks over HTTP; returns the parsed answer. Throws for any status but 2xx. */
export type Ask = (path: string) => Promise<unknown>;

/** How long questions take that people and their pages ask: each in turn, one at a time. */
export class QueryProbe extends Probe {
  readonly #samples = new Map<string, number[]>();
  #next = 0;

  /** `questions`: name → path under the API. */
  constructor(
    private readonly ask: Ask,
    private readonly questions: Readonly<Record<string, () => string>>,
  ) {
    super();
  }

  /** `queryMs.NAME.p50`, `.p95`, `.count`. */
  metrics(prefix: string): Record<string, number> {
    const entries = [...this.#samples].flatMap(([name, samples]) => [
      [`${prefix}.${name}.p50`, percentile(samples, 0.5)] as const,
      [`${prefix}.${name}.p95`, percentile(samples, 0.95)] as const,
      [`${prefix}.${name}.count`, samples.length] as const,
    ]);
    return Object.fromEntries(entries);
  }

  protected async look(): Promise<void> {
    const names = Object.keys(this.questions);
    const name = names[this.#next % names.length];
    this.#next += 1;
    const beganAt = performance.now();
    await this.ask(this.questions[name]());
    const samples = this.#samples.get(name) ?? [];
    samples.push(performance.now() - beganAt);
    this.#samples.set(name, samples);
  }
}

/**
 * From the moment at which a board measured (its clock is this machine's) to the first answer of the API that shows the
 * measurement. A few boards are asked again and again from the moment at which they may have measured anew, so the figure is at
 * most one round too high, and what is measured is hardly disturbed by the asking.
 */
export class FreshnessProbe extends Probe {
  readonly samples: number[] = [];
  readonly #newest = new Map<string, string>();

  constructor(
    private readonly ask: Ask,
    private readonly deviceIds: readonly string[],
    /** Between two measurements of a board, ms. */
    private readonly periodMs: number,
  ) {
    super();
  }

  protected async look(): Promise<void> {
    for (const id of this.deviceIds) {
      const newest = this.#newest.get(id);
      if (newest !== undefined && Date.now() < Date.parse(newest) + 0.9 * this.periodMs) continue;
      const { telemetry } = (await this.ask(`/devices/${id}`)) as { telemetry: { at: string } | null };
      if (telemetry === null || telemetry.at === newest) continue;
      this.#newest.set(id, telemetry.at);
      // The first one may have been there for long.
      if (newest !== undefined) this.samples.push(Date.now() - Date.parse(telemetry.at));
    }
  }
}

/** Processor and memory of the server with all its threads and children, once a second, from /proc. */
export class UsageProbe extends Probe {
  readonly #cores: number[] = [];
  #peakBytes = 0;
  #before: { cpuSeconds: number; at: number } | null = null;
  #first: { cpuSeconds: number; at: number } | null = null;

  constructor(private readonly pid: () => number) {
    super();
  }

  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Mean and peak (over one second) of the cores in use. */
  metrics(prefix: string): Record<string, number> {
    const [first, last] = [this.#first, this.#before];
    const mean =
      first === null || last === null ? Number.NaN : (last.cpuSeconds - first.cpuSeconds) / (last.at - first.at);
    return {
      [`${prefix}.cores.mean`]: mean,
      [`${prefix}.cores.max`]: Math.max(...this.#cores),
      [`${prefix}.memoryBytes.max`]: this.#peakBytes,
    };
  }

  protected async look(): Promise<void> {
    const { cpuSeconds, residentBytes } = readTreeUsage(this.pid());
    const now = { cpuSeconds, at: performance.now() / 1000 };
    if (this.#before !== null) this.#cores.push((cpuSeconds - this.#before.cpuSeconds) / (now.at - this.#before.at));
    this.#first ??= now;
    this.#before = now;
    this.#peakBytes = Math.max(this.#peakBytes, residentBytes);
  }
}

/** Bytes that went over the loopback interface so far, headers included; NaN where /proc does not say. */
export function loopbackBytes(text = readText('/proc/net/dev')): number {
  const line = /^\s*lo:\s*(\d+)/m.exec(text);
  return line === null ? Number.NaN : Number(line[1]);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

import { readFileSync, statfsSync } from 'node:fs';
import { totalmem } from 'node:os';
import type { BoardHeat } from '../ports.js';
import type { BoardSample } from '../vision/telemetry.js';

/** Clock ticks per second of /proc: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const GIB = 1024 ** 3;

const THERMAL_ZONE = '/sys/class/thermal/thermal_zone0/temp';
/** Raspberry Pi's firmware: bits 0 to 3 say that it lacks voltage or throttles now. */
const THROTTLED = '/sys/devices/platform/soc/soc:firmware/get_throttled';
const DEVICE_TREE_MODEL = '/proc/device-tree/model';

/** Reads what the board says of itself; a file that is not there gives null. */
export class BoardSensors {
  readonly #pids: () => Iterable<number>;
  readonly #now: () => number;
  #ticks = new Map<number, number>();
  #measuredAt: number;

  /** @param pids the agent's processes. @param now monotonic, ms. @param directory of the agent's data, whose disk is watched. */
  constructor(
    pids: () => Iterable<number>,
    now: () => number,
    private readonly directory: string | null = null,
  ) {
    this.#pids = pids;
    this.#now = now;
    this.#measuredAt = now();
    this.sample();
  }

  /** `cpu` covers the time since the last sample. Processes that ended in between are left out. */
  sample(): BoardSample {
    const now = this.#now();
    const ticks = new Map<number, number>();
    let memoryBytes = 0;
    let spent = 0;
    for (const pid of this.#pids()) {
      const usage = processUsage(pid);
      if (usage === null) continue;
      ticks.set(pid, usage.ticks);
      memoryBytes += usage.memoryBytes;
      spent += usage.ticks - (this.#ticks.get(pid) ?? 0);
    }
    const seconds = (now - this.#measuredAt) / 1000;
    this.#ticks = ticks;
    this.#measuredAt = now;
    return {
      cpu: seconds > 0 ? Math.max(0, spent / TICKS_PER_SECOND / seconds) : 0,
      memoryBytes,
      ...freeSpace(this.directory),
      ...readHeat(),
    };
  }
}

/** How warm the board is. `files`: where it says so. */
export function readHeat(files = { temperature: THERMAL_ZONE, throttled: THROTTLED }): BoardHeat {
  const temperature = readNumber(files.temperature, 10);
  const throttled = readNumber(files.throttled, 16);
  return {
    temperatureC: temperature === null ? null : temperature / 1000,
    throttled: throttled === null ? null : (throttled & 0xf) !== 0,
  };
}

/** What a user without rights could still write there. */
function freeSpace(directory: string | null): { diskFreeBytes?: number } {
  if (directory === null) return {};
  try {
    const { bavail, bsize } = statfsSync(directory);
    return { diskFreeBytes: bavail * bsize };
  } catch {
    return {};
  }
}

function processUsage(pid: number): { ticks: number; memoryBytes: number } | null {
  const stat = readText(`/proc/${pid}/stat`);
  const status = readText(`/proc/${pid}/status`);
  if (stat === null || status === null) return null;
  // The second field is a name in brackets that may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const kibibytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
  return { ticks: Number(fields[11]) + Number(fields[12]), memoryBytes: kibibytes * 1024 };
}

/** What kind of board this is: `rpi5-8g`, `rpi4-2g`, otherwise `generic-x64`, `generic-arm64`. */
export function hardwareClass(
  model = readText(DEVICE_TREE_MODEL),
  memoryBytes = totalmem(),
  arch: string = process.arch,
): string {
  const generation = /^Raspberry Pi (\d+)/.exec(model ?? '')?.[1];
  if (generation === undefined) return `generic-${arch}`;
  // The kernel keeps a part of the memory for itself: 7.9 GiB are a board of 8.
  const gibibytes = [1, 2, 4, 8, 16, 32].find((size) => memoryBytes <= size * GIB) ?? 64;
  return `rpi${generation}-${gibibytes}g`;
}

function readNumber(path: string, radix: number): number | null {
  const value = Number.parseInt(readText(path) ?? '', radix);
  return Number.isFinite(value) ? value : null;
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

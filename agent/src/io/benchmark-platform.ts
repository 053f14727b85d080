import { readFileSync, readlinkSync } from 'node:fs';
import { cpus } from 'node:os';
import type { BenchmarkResult } from '@vigie/protocol';

/** Where figures of this board come from. `runtime`: as the detector names it. */
export function benchmarkPlatform(runtime: string): BenchmarkResult['platform'] {
  const cpuinfo = readText('/proc/cpuinfo');
  const model = readText('/proc/device-tree/model').replaceAll('\0', '').trim();
  const named = /^(?:model name|Hardware)\s*:\s*(.+)$/m.exec(cpuinfo)?.[1]?.trim();
  return {
    arch: process.arch,
    cpu: (model || named || cpus()[0]?.model || 'unknown').slice(0, 200),
    cores: Math.max(1, cpus().length),
    node: process.versions.node,
    runtime: runtime.slice(0, 64),
    emulated: isEmulated(cpuinfo),
  };
}

/** User-mode QEMU disguises `/proc/self/exe` but not the link of the thread; system-mode QEMU names itself as the CPU. */
function isEmulated(cpuinfo: string): boolean {
  if (/^(1|true)$/.test(process.env.VIGIE_EMULATED ?? '')) return true;
  try {
    if (/qemu/i.test(readlinkSync('/proc/thread-self/exe'))) return true;
  } catch {
    // No such link on this kernel: the other signs decide.
  }
  return /QEMU (Virtual|TCG)/i.test(cpuinfo);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

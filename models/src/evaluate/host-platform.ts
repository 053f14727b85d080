import { readFileSync, readlinkSync } from 'node:fs';
import { cpus } from 'node:os';
import type { BenchmarkResult } from '@vigie/protocol';

/** Where a figure was measured, as every result says it. `runtime`: what ran the model, at most 64 characters are kept. */
export function hostPlatform(runtime: string): BenchmarkResult['platform'] {
  const cpuinfo = readText('/proc/cpuinfo');
  const instructions = int8Instructions(cpuinfo);
  return {
    arch: process.arch,
    cpu: `${cpuName(cpuinfo)}${instructions === '' ? '' : ` (${instructions})`}`.slice(0, 200),
    cores: Math.max(1, cpus().length),
    node: process.versions.node,
    runtime: runtime.slice(0, 64),
    emulated: isEmulated(process.env, cpuinfo),
  };
}

/** `VIGIE_EMULATED=1` or `0` says it; otherwise the signs of QEMU do. Times under emulation never enter a gate. */
export function isEmulated(environment: NodeJS.ProcessEnv, cpuinfo: string): boolean {
  if (/^(1|true)$/.test(environment.VIGIE_EMULATED ?? '')) return true;
  if (/^(0|false)$/.test(environment.VIGIE_EMULATED ?? '')) return false;
  return looksEmulated(cpuinfo);
}

/** User-mode QEMU disguises `/proc/self/exe` but not the link of the thread; system-mode QEMU names itself as the CPU. */
function looksEmulated(cpuinfo: string): boolean {
  try {
    if (/qemu/i.test(readlinkSync('/proc/thread-self/exe'))) return true;
  } catch {
    // No such link on this kernel: the other signs decide.
  }
  return /QEMU (Virtual|TCG)/i.test(cpuinfo);
}

function cpuName(cpuinfo: string): string {
  const model = readText('/proc/device-tree/model').replaceAll('\0', '').trim();
  const named = /^(?:model name|Hardware)\s*:\s*(.+)$/m.exec(cpuinfo)?.[1]?.trim();
  return (model || named || cpus()[0]?.model || 'unknown').slice(0, 200);
}

/** Which instructions for INT8 the processor has: figures with and without VNNI do not compare. */
function int8Instructions(cpuinfo: string): string {
  const flags = /^(?:flags|Features)\s*:\s*(.+)$/m.exec(cpuinfo)?.[1]?.split(/\s+/) ?? [];
  return ['avx2', 'avx512_vnni', 'avx_vnni', 'asimddp', 'i8mm'].filter((flag) => flags.includes(flag)).join(' ');
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

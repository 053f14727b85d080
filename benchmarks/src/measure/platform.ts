import { readFileSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, cpus } from 'node:os';
import type { BenchmarkResult, ReleaseReference } from '@vigie/protocol';

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
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

/** `VIGIE_EMULATED=1` or `0` says it; otherwise the signs of QEMU do. Times under emulation never enter a gate. */
export function isEmulated(environment: NodeJS.ProcessEnv, cpuinfo: string): boolean {
  if (environment.VIGIE_EMULATED === '1' || environment.VIGIE_EMULATED === 'true') return true;
  if (environment.VIGIE_EMULATED === '0' || environment.VIGIE_EMULATED === 'false') return false;
  return looksEmulated(cpuinfo);
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

/** Where a figure was measured, as every result says it. */
export function describePlatform(): BenchmarkResult['platform'] {
  const cpuinfo = readText('/proc/cpuinfo');
  const instructions = int8Instructions(cpuinfo);
  const runtime = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
  return {
    arch: arch(),
    cpu: `${cpuName(cpuinfo)}${instructions === '' ? '' : ` (${instructions})`}`.slice(0, 200),
    cores: Math.max(1, cpus().length),
    node: process.versions.node,
    runtime: `onnxruntime-node ${runtime.version} cpu`,
    emulated: isEmulated(process.env, cpuinfo),
  };
}

/** A result document of protocol's BenchmarkResult; metrics without a value are left out rather than made up. */
export function benchmarkResult(
  benchmark: string,
  release: ReleaseReference | null,
  samples: number,
  metrics: Record<string, number>,
  samplesOf: Pick<BenchmarkResult, 'series' | 'pairing'> = {},
): BenchmarkResult {
  return {
    schema: 'vigie.benchmark/1',
    benchmark,
    at: new Date().toISOString(),
    release,
    platform: describePlatform(),
    samples,
    metrics: Object.fromEntries(
      Object.entries(metrics)
        .filter(([, value]) => Number.isFinite(value))
        .map(([name, value]) => [name, Math.round(value * 1e5) / 1e5]),
    ),
    ...samplesOf,
  };
}

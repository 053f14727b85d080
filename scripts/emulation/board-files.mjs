import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const CORES = [0, 1, 2, 3];

/** /proc/cpuinfo fields of the boards we emulate, as a Raspberry Pi 4 and 5 show them. */
const BOARDS = {
  'cortex-a72': { part: '0xd08', features: 'fp asimd evtstrm crc32 cpuid' },
  'cortex-a76': {
    part: '0xd0b',
    features: 'fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp',
  },
};

/**
 * Writes `cpuinfo` and `cpu/` into `folder` as the board's /proc/cpuinfo and /sys/devices/system/cpu show them. Without
 * these two, ONNX Runtime's processor detection reads those of the x86 host and crashes. Throws Error for an unknown cpu.
 */
export function writeBoardFiles(folder, cpu) {
  const board = BOARDS[cpu];
  if (board === undefined) {
    throw new Error(`--cpu: "${cpu}" is not a board we know; use ${Object.keys(BOARDS).join(' or ')}`);
  }
  const cpuinfo = CORES.map((core) =>
    [
      `processor\t: ${core}`,
      'BogoMIPS\t: 108.00',
      `Features\t: ${board.features}`,
      'CPU implementer\t: 0x41',
      'CPU architecture: 8',
      'CPU variant\t: 0x0',
      `CPU part\t: ${board.part}`,
      'CPU revision\t: 3',
      '\n',
    ].join('\n'),
  );
  writeFileSync(join(folder, 'cpuinfo'), cpuinfo.join(''));
  for (const core of CORES) {
    const topology = join(folder, `cpu/cpu${core}/topology`);
    mkdirSync(topology, { recursive: true });
    writeFileSync(join(topology, 'physical_package_id'), '0\n');
    writeFileSync(join(topology, 'core_id'), `${core}\n`);
    writeFileSync(join(topology, 'core_siblings_list'), '0-3\n');
    writeFileSync(join(topology, 'thread_siblings_list'), `${core}\n`);
  }
  for (const file of ['possible', 'present', 'online']) writeFileSync(join(folder, 'cpu', file), '0-3\n');
}

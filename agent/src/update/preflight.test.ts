import { expect, test } from 'vitest';
import { type InstallPlanInput, MEMORY_RESERVE_BYTES, planInstall } from './preflight.js';
import { DISK_RESERVE_BYTES } from './release-checks.js';

const MIB = 1024 * 1024;
const roomy: InstallPlanInput = {
  missingBytes: 4 * MIB,
  freeBytes: 1024 * MIB,
  packageBytes: 4 * MIB,
  memoryBytes: 100 * MIB,
  memory: { availableBytes: 1024 * MIB, liveBytes: 120 * MIB },
  lastLoadMs: null,
  shadow: false,
};
const code = (changes: Partial<InstallPlanInput>) => {
  try {
    return planInstall({ ...roomy, ...changes }).mode;
  } catch (error) {
    return (error as { code: string }).code;
  }
};
const available = (bytes: number) => ({ memory: { availableBytes: bytes, liveBytes: 120 * MIB } });

test('the disk must hold what is missing and the reserve, to the byte', () => {
  expect(code({ freeBytes: 4 * MIB + DISK_RESERVE_BYTES })).toBe('hot');
  expect(code({ freeBytes: 4 * MIB + DISK_RESERVE_BYTES - 1 })).toBe('DISK_FULL');
});

test('memory for two is a hot swap, for one a stop-swap, for none a refusal, to the byte', () => {
  const needed = 100 * MIB + MEMORY_RESERVE_BYTES;
  expect(code(available(needed))).toBe('hot');
  expect(code(available(needed - 1))).toBe('stop');
  expect(code(available(needed - 120 * MIB))).toBe('stop');
  expect(code(available(needed - 120 * MIB - 1))).toBe('MEMORY_SHORT');
  expect(code({ memory: { availableBytes: needed - 1, liveBytes: null } })).toBe('MEMORY_SHORT');
});

test('a shadow run needs memory for two', () => {
  expect(code({ ...available(100 * MIB), shadow: true })).toBe('MEMORY_SHORT');
  expect(code({ shadow: true })).toBe('hot');
});

test('a board that does not say what it has swaps hot, and an unknown model is taken for more than its file', () => {
  expect(code({ memory: { availableBytes: null, liveBytes: null } })).toBe('hot');
  expect(code({ ...available(150 * MIB), memoryBytes: undefined })).toBe('stop');
  expect(code({ ...available(160 * MIB), memoryBytes: undefined })).toBe('hot');
});

test('the gap of a stop-swap is what the last load took, or an estimate', () => {
  const short = { ...roomy, ...available(100 * MIB) };
  expect(planInstall({ ...short, lastLoadMs: 830.4 })).toEqual({ mode: 'stop', expectedGapMs: 830 });
  expect(planInstall(short).expectedGapMs).toBe(1580);
  expect(planInstall(roomy).expectedGapMs).toBe(0);
});

import { describe, expect, it } from 'vitest';
import { BoardSensors, hardwareClass } from '../src/io/board-sensors.js';

describe('hardwareClass', () => {
  const GIB = 1024 ** 3;
  it('reads device tree and memory', () => {
    expect(hardwareClass('Raspberry Pi 5 Model B Rev 1.0\0', 7.9 * GIB)).toBe('rpi5-8g');
    expect(hardwareClass('Raspberry Pi 4 Model B Rev 1.4\0', 1.85 * GIB)).toBe('rpi4-2g');
    expect(hardwareClass(null, 8 * GIB, 'x64')).toBe('generic-x64');
    expect(hardwareClass('Some Board', 8 * GIB, 'arm64')).toBe('generic-arm64');
  });
});

describe('BoardSensors', () => {
  it('measures its processes and lets those that are gone be', () => {
    let now = 0;
    const sensors = new BoardSensors(
      () => [process.pid, 2 ** 22 + 1],
      () => now,
    );
    const busyUntil = process.cpuUsage().user + 200_000;
    while (process.cpuUsage().user < busyUntil) Math.sqrt(2);
    now = 1000;
    const { cpu, memoryBytes } = sensors.sample();
    expect(cpu).toBeGreaterThan(0.1);
    expect(cpu).toBeLessThan(16);
    expect(memoryBytes).toBeGreaterThan(10_000_000);
  });
});

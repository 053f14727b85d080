import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { vi } from 'vitest';
import { quantizeCommand } from '../src/quantize-command.js';
import { noise } from './quantize-model-fixture.js';

/** Runs the command in this process. Throws what it throws; bad usage is a CommanderError. */
export async function runQuantizeCommand(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const lines: string[] = [];
  const progress: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => progress.push(String(text)) > 0);
  try {
    const command = quantizeCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => {} });
    await command.parseAsync(args, { from: 'user' });
  } finally {
    log.mockRestore();
    write.mockRestore();
  }
  return { stdout: lines.join('\n'), stderr: progress.join('') };
}

/** Pictures of noise, 24 × 20, in `folder`/pictures. */
export async function writePictures(folder: string, count: number): Promise<void> {
  await mkdir(join(folder, 'pictures'), { recursive: true });
  for (let i = 0; i < count; i++) {
    const raw = Uint8Array.from(noise(3 * 24 * 20, i + 1), (v) => Math.round((v + 1) * 127.5));
    await sharp(raw, { raw: { width: 24, height: 20, channels: 3 } }).toFile(join(folder, 'pictures', `${i}.png`));
  }
}

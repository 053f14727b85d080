import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LogRing, withoutSecrets } from './log-ring.js';
import { blinkLight } from './sysfs-light.js';

describe('LogRing', () => {
  it('gives the newest lines, oldest first, within its bounds', () => {
    const ring = new LogRing();
    for (let index = 0; index < 2500; index += 1) ring.write(`line ${index}\n`);
    expect(ring.read(2)).toEqual(['line 2498', 'line 2499']);
    expect(ring.read(1_000_000)).toHaveLength(2000);
    for (let index = 0; index < 100; index += 1) ring.write('"'.repeat(4000));
    const bytes = Buffer.byteLength(JSON.stringify(ring.read(1000)));
    expect(bytes).toBeLessThan(100 * 1024 + 10);
    expect(bytes).toBeGreaterThan(80 * 1024);
  });

  it.each([
    ['"token":"vge_abcdefghijk.12"', 'abcdefghijk'],
    ['open rtsp://admin:hunter2@10.0.0.1/live', 'hunter2'],
    ['authorization: Bearer abc.def-ghi_jkl', 'abc.def'],
    ['{"password":"hunter2","a":1}', 'hunter2'],
    ['GET /stream?token=hunter2&x=1', 'hunter2'],
    ['-----BEGIN PRIVATE KEY-----\\nMIIabc\\n-----END PRIVATE KEY-----', 'MIIabc'],
  ])('keeps secrets: %s', (line, secret) => {
    expect(withoutSecrets(line)).not.toContain(secret);
    expect(withoutSecrets(line)).toContain('secret');
  });

  it('changes nothing else', () => {
    const line = '{"level":30,"camera":"http://10.0.0.1:80/video","msg":"listening"}';
    expect(withoutSecrets(line)).toBe(line);
  });
});

describe('blinkLight', () => {
  it('takes the board’s own light and gives it back', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'vigie-leds-'));
    for (const name of ['mmc0', 'ACT']) {
      await mkdir(join(directory, name));
      await writeFile(join(directory, name, 'trigger'), 'none [heartbeat] timer');
    }
    let back = () => {};
    const light = await blinkLight((_ms, run) => (back = run), { directory });
    expect([light, await readFile(join(directory, 'ACT', 'trigger'), 'utf8')]).toEqual(['ACT', 'timer']);
    back();
    await expect.poll(() => readFile(join(directory, 'ACT', 'trigger'), 'utf8')).toBe('heartbeat');
    await rm(directory, { recursive: true });
    expect(await blinkLight(() => undefined, { directory })).toBeNull();
  });
});

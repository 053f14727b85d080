import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const VIDEOS = at('../../../shared/material/videos');
const missing = existsSync(VIDEOS) ? '' : 'the third-party clips stand in ../shared/material/videos, which is not here';
if (missing !== '') console.warn(`skipped: ${missing}`);

const scratch = mkdtempSync(join(tmpdir(), 'vigie-clips-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Frames (from 1, at 10 frames/s) between which two other detectors agree on a person; see the folder's README. */
const VISITS = [
  [64, 192],
  [229, 446],
  [507, 695],
  [748, 866],
  [933, 1195],
  [1238, 1359],
];

interface LoggedEvent {
  event: string;
  type: string;
  frame?: number;
}

/** Plays a clip through the built agent, unpaced and without losing a frame; gives the events it logs. */
async function eventsOn(clip: string): Promise<LoggedEvent[]> {
  const config = join(scratch, `${clip}.yaml`);
  writeFileSync(
    config,
    JSON.stringify({
      data: { directory: join(scratch, clip) },
      http: { port: 0 },
      model: { directory: at('../../models/zoo/person-detector-int8') },
      source: { url: join(VIDEOS, clip), pacing: 'unpaced', exitAtEnd: true },
    }),
  );
  const agent = spawn(process.execPath, [at('../dist/cli.js'), 'run', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  agent.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  const code = await new Promise<number | null>((resolve) => agent.once('exit', resolve));
  expect(code, text.slice(-2000)).toBe(0);
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'event');
}

describe.skipIf(missing !== '')('real clips', () => {
  it('six people come into a room one by one: one event each, and none while it is empty', {
    timeout: 180_000,
  }, async () => {
    const started = (await eventsOn('intel_one-by-one-person-detection.mp4')).filter(({ type }) => type === 'start');
    const visitOf = ({ frame = 0 }: LoggedEvent) =>
      VISITS.findIndex(([first, last]) => frame >= first && frame <= last);
    expect(started.map(visitOf)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('cars alone raise no event', { timeout: 180_000 }, async () => {
    expect(await eventsOn('intel_car-detection.mp4')).toEqual([]);
  });
});

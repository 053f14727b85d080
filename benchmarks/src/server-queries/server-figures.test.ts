import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { dutyTimes, slowStatements } from './server-figures.js';

it('reads runs and seconds of duties', () => {
  const text = `# TYPE vigie_duty_duration_seconds histogram
vigie_duty_duration_seconds_bucket{duty="rollouts",le="+Inf"} 4
vigie_duty_duration_seconds_sum{duty="rollouts"} 0.5
vigie_duty_duration_seconds_count{duty="rollouts"} 4
vigie_duty_duration_seconds_sum{duty="alerts"} 1e-3
vigie_duty_duration_seconds_count{duty="alerts"} 2
`;
  expect([...dutyTimes(text)]).toEqual([
    ['rollouts', { runs: 4, seconds: 0.5 }],
    ['alerts', { runs: 2, seconds: 0.001 }],
  ]);
});

it('sums slow statements by their text, of the lines from a place on', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vigie-log-'));
  const file = join(folder, 'server.log');
  const line = (ms: number, statement: string) => `${JSON.stringify({ ms, statement, msg: 'a statement was slow' })}\n`;
  const before = line(900, 'a');
  writeFileSync(file, `${before}${line(60, 'a')}{"msg":"listening"}\n${line(200, 'b')}${line(90, 'a')}`);
  expect(slowStatements(file, before.length)).toEqual([
    { statement: 'b', count: 1, totalMs: 200, maxMs: 200 },
    { statement: 'a', count: 2, totalMs: 150, maxMs: 90 },
  ]);
  rmSync(folder, { recursive: true });
});

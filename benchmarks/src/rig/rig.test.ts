import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { readTree, readTreeUsage, stillRuns } from '../measure/process-tree.js';
import { ProcessDiedError } from './managed-process.js';
import { Rig } from './rig.js';
import { WaitTimeoutError, waitFor } from './wait.js';

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.close();
});

describe('Rig', () => {
  it('ends the whole tree of a process, also members of another session, and removes its folder', async () => {
    rig = new Rig();
    const folder = rig.directory;
    // `setsid` leaves the process group; a child that ignores SIGTERM does not go politely.
    const script = `setsid sleep 987 & (trap '' TERM; while :; do sleep 0.2; done) & wait`;
    const started = rig.start({ name: 'tree', command: 'sh', args: ['-c', script] });
    const tree = await waitFor('the tree', () => readTree(started.pid).length >= 3 && readTree(started.pid), {
      timeoutMs: 10_000,
    });
    await rig.close();
    expect(tree.filter(stillRuns)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });

  it('keeps the output of a process and says when it died', async () => {
    rig = new Rig();
    const dying = rig.start({ name: 'dying', command: 'sh', args: ['-c', 'echo last words >&2; exit 7'] });
    await waitFor('its end', () => !dying.running, { timeoutMs: 10_000 });
    expect(() => rig?.assertRunning()).toThrow(ProcessDiedError);
    expect(rig.logTails()).toContain('last words');
    expect(readFileSync(dying.logPath, 'utf8')).toBe('last words\n');
  });

  it('reads CPU time and memory of a running tree', async () => {
    rig = new Rig();
    const busy = rig.start({ name: 'busy', command: 'sh', args: ['-c', 'while :; do :; done'] });
    await waitFor('CPU time', () => readTreeUsage(busy.pid).cpuSeconds > 0, { timeoutMs: 20_000 });
    expect(readTreeUsage(busy.pid).residentBytes).toBeGreaterThan(0);
    await busy.stop();
    expect(() => readTreeUsage(busy.pid)).toThrow(/not running/);
  });
});

describe('waitFor', () => {
  it('names what it waited for', async () => {
    await expect(waitFor('rain', () => null, { timeoutMs: 0, everyMs: 1 })).rejects.toThrow(/rain/);
    await expect(waitFor('rain', () => null, { timeoutMs: 0, everyMs: 1 })).rejects.toBeInstanceOf(WaitTimeoutError);
  });
});

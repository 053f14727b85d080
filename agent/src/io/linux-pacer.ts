import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { ChildPacer } from './child-pacer.js';
import { readCpuQuota } from './cpu-quota.js';

/** util-linux; part of every Debian. */
const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'];
/** PR_SET_PDEATHSIG, prctl(2): the kernel ends the child with its parent, a stopped one too. */
const DIE_WITH_PARENT = ['--pdeathsig', 'KILL', '--'];

/** The pacer of a board whose CPU time is limited by a control group; null: there is no such limit, or no way to keep it. */
export function linuxPacer(log: { info(fields: object, message: string): void }): ChildPacer | null {
  const quota = readCpuQuota(availableParallelism());
  if (quota === null) return null;
  const launcher = findLauncher();
  if (launcher === null) {
    log.info({ cpus: quota.cpus }, 'CPU quota, but no setpriv: a swap is not slowed down for the live frames');
    return null;
  }
  log.info({ cpus: quota.cpus }, 'CPU quota: a model that is prepared takes only what the live frames leave');
  return new ChildPacer(quota, launcher, {
    now: () => performance.now(),
    after: (ms, run) => {
      const timer = setTimeout(run, ms).unref();
      return () => clearTimeout(timer);
    },
    signal: (pid, signal) => {
      try {
        return process.kill(pid, signal);
      } catch {
        return false;
      }
    },
  });
}

/** Tried once with a program that does nothing: BusyBox has a setpriv without the option. */
function findLauncher(): readonly string[] | null {
  const command = SETPRIV.find((path) => existsSync(path));
  if (command === undefined) return null;
  const launcher = [command, ...DIE_WITH_PARENT];
  try {
    execFileSync(command, [...DIE_WITH_PARENT, 'true'], { stdio: 'ignore', timeout: 5000 });
    return launcher;
  } catch {
    return null;
  }
}

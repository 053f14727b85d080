import { performance } from 'node:perf_hooks';
import type { Clock } from '../ports.js';

/** The machine's clocks and timers. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

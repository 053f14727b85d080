import type { FleetTally, SimulatedFleetOptions } from './simulated-fleet.js';

/** What a process of simulated boards is told. */
export type PoolRequest =
  | {
      kind: 'start';
      identitiesFile: string;
      from: number;
      to: number;
      options: Omit<SimulatedFleetOptions, 'identities' | 'onProblem'>;
    }
  | { kind: 'tally' }
  | { kind: 'stop' };

/** What it answers; `tally` carries the problems since the one before, at most a few. */
export type PoolReply =
  | { kind: 'started' }
  | { kind: 'tally'; tally: FleetTally; problems: string[]; problemCount: number }
  | { kind: 'stopped' }
  | { kind: 'failed'; message: string };

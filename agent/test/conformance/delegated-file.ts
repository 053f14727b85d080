import { inDays, type TufSimulator } from '../tuf-simulator.js';

/** What the delegated role of some rows lists. */
export const DELEGATED = 'delegatedpath/first';

/** `delegated` lists two targets and expires in `days`. */
export function withDelegation(repo: TufSimulator, days: number): void {
  repo.delegate('targets', 'delegated', { paths: ['delegatedpath/*'], expires: inDays(days) });
  repo.add(DELEGATED, 'first', 'delegated');
  repo.add('delegatedpath/second', 'second', 'delegated');
  repo.bump('delegated', 'targets', 'snapshot', 'timestamp');
}

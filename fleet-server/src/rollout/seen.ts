import type { Board } from './model.js';

/** What of a board decides whether it must be looked at again: its present boot, its newest report, and its generation. */
export function seenOf({ bootId, reported }: Board, generation: number): string {
  return [bootId, reported?.bootId, reported?.sequence, generation].filter((part) => part != null).join('/');
}

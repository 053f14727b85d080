import type { Detection } from '@vigie/models/runtime/detection';
import { isWholeFrame } from '../vision/whole-frame.js';
import type { Match } from './agreement.js';

/** How much of what the previous model sees the candidate sees too; see `TallyCounter`. */
export interface ComparisonTally {
  frames: number;
  /** Detections that count, of labels that both models can name. */
  candidate: number;
  previous: number;
  /** Why the two counts must not be held against each other; null: they may. */
  incomparable: string | null;
}

interface Side {
  detections: readonly Detection[];
  labels: readonly string[];
}

/**
 * Counts detections of both models on the same frames, of the labels they share. A classifier always names something, so of
 * two classifiers a detection of the candidate counts where the previous one names the same label for the frame.
 */
export class TallyCounter {
  private frames = 0;
  private candidate = 0;
  private previous = 0;
  private matched = 0;
  private readonly placed = { candidate: 0, previous: 0 };
  private readonly whole = { candidate: 0, previous: 0 };
  private shared: ReadonlySet<string> | null = null;

  add(candidate: Side, previous: Side, matches: readonly Match[]): void {
    this.shared ??= new Set(candidate.labels.filter((label) => previous.labels.includes(label)));
    this.frames += 1;
    this.candidate += this.count('candidate', candidate.detections, this.shared);
    this.previous += this.count('previous', previous.detections, this.shared);
    this.matched += matches.length;
  }

  get tally(): ComparisonTally {
    const { frames, previous } = this;
    const kinds = [this.kindOf('candidate'), this.kindOf('previous')];
    const classifiers = !kinds.includes('detector') && kinds.includes('classifier');
    return {
      frames,
      previous,
      candidate: classifiers ? this.matched : this.candidate,
      incomparable: this.obstacle(kinds),
    };
  }

  private obstacle(kinds: readonly (string | null)[]): string | null {
    if (this.shared?.size === 0) return 'the two models have no label in common';
    if (!kinds.includes('detector') || !kinds.includes('classifier')) return null;
    return 'one model names the whole picture, the other what stands where in it';
  }

  private count(side: 'candidate' | 'previous', detections: readonly Detection[], shared: ReadonlySet<string>): number {
    let count = 0;
    for (const { label, box } of detections) {
      (isWholeFrame(box) ? this.whole : this.placed)[side] += 1;
      if (shared.has(label)) count += 1;
    }
    return count;
  }

  /** By its boxes: a classifier has none but the whole frame; null: none yet. */
  private kindOf(side: 'candidate' | 'previous'): 'detector' | 'classifier' | null {
    if (this.placed[side] > 0) return 'detector';
    return this.whole[side] > 0 ? 'classifier' : null;
  }
}

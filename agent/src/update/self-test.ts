import type { Detection } from '@vigie/models/runtime/detection';
import type { ContentRectangle, PlanarFrame } from '@vigie/models/runtime/frame';
import { compareGolden } from '@vigie/models/runtime/golden';
import type { Detector } from '../ports.js';
import { InstallError } from './install-error.js';
import type { GoldenPicture } from './ports.js';

/** First runs of a session are slower (allocation, caches): so many more before the stream meets it. */
const WARM_UP_RUNS = 3;

/**
 * Runs the package's golden frames through the candidate on this very board, then warms it up.
 * `threshold`: the manifest's `thresholds.default`, at which the expected detections were written down.
 * Throws InstallError GOLDEN_MISMATCH, or MODEL_LOAD_FAILED when the child dies at it.
 */
export async function selfTest(
  detector: Detector,
  pictures: readonly GoldenPicture[],
  threshold: number,
  signal: AbortSignal,
): Promise<void> {
  for (const { golden, frame, content } of pictures) {
    signal.throwIfAborted();
    const result = compareGolden(golden, await detect(detector, frame, content), threshold);
    if (!result.ok) throw new InstallError('GOLDEN_MISMATCH', result.reason);
  }
  for (let run = 0; run < WARM_UP_RUNS && pictures.length > 0; run += 1) {
    signal.throwIfAborted();
    const { frame, content } = pictures[run % pictures.length];
    await detect(detector, frame, content);
  }
}

async function detect(detector: Detector, frame: PlanarFrame, content: ContentRectangle): Promise<Detection[]> {
  try {
    return (await detector.detect(frame.data, frame.width, frame.height, content)).detections;
  } catch (error) {
    throw new InstallError('MODEL_LOAD_FAILED', `the model died in its self-test: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

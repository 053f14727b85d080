import type { Detection } from '@vigie/models/runtime/detection';
import type { ContentRectangle, PlanarFrame } from '@vigie/models/runtime/frame';
import { compareGolden } from '@vigie/models/runtime/golden';
import type { Detector } from '../ports.js';
import { InstallError } from './install-error.js';
import type { GoldenPicture, GoldenPictures } from './ports.js';

/** First runs of a session are slower (allocation, caches): it has this many behind it before the stream meets it. */
const WARM_UP_RUNS = 4;

/**
 * Runs all of the package's golden frames through the candidate on this very board, and more to warm it up if these
 * are few. `threshold`: the manifest's `thresholds.default`, at which the expected detections were written down.
 * Throws InstallError GOLDEN_MISMATCH, MODEL_LOAD_FAILED when the child dies at it, or what decoding a picture throws.
 */
export async function selfTest(
  detector: Detector,
  pictures: GoldenPictures,
  threshold: number,
  signal: AbortSignal,
): Promise<void> {
  let runs = 0;
  let last: GoldenPicture | null = null;
  for await (const picture of pictures) {
    signal.throwIfAborted();
    const { golden, frame, content } = picture;
    const result = compareGolden(golden, await detect(detector, frame, content), threshold);
    if (!result.ok) throw new InstallError('GOLDEN_MISMATCH', result.reason);
    last = picture;
    runs += 1;
  }
  for (; last !== null && runs < WARM_UP_RUNS; runs += 1) {
    signal.throwIfAborted();
    await detect(detector, last.frame, last.content);
  }
  detector.tested?.();
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

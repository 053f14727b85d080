import type { SsdAnchors } from '../runtime/decoders/ssd-anchors.js';

/** Rows of torchvision's `ssdlite320_mobilenet_v3_large` before its post-processing. */
export const SSDLITE_ROWS = 3234;

/**
 * Anchors of torchvision's SSDlite at 320 × 320. Source: torchvision/models/detection/anchor_utils.py (`DefaultBoxGenerator`, sizes
 * clipped to the frame) with the aspect ratios 2 and 3 and scales 0.2 to 0.95 of ssdlite.py.
 */
export function ssdliteAnchors(): SsdAnchors {
  const maps = [20, 10, 5, 3, 2, 1];
  const scales = [...maps.map((_, level) => 0.2 + (0.75 * level) / (maps.length - 1)), 1];
  const rounded = (size: number): number => Math.min(1, Math.round(size * 1e7) / 1e7);
  return {
    grids: maps.map((cells, level) => {
      const scale = scales[level];
      const between = Math.sqrt(scale * scales[level + 1]);
      const shapes = [2, 3].flatMap((ratio) => {
        const [long, short] = [scale * Math.sqrt(ratio), scale / Math.sqrt(ratio)];
        return [
          [short, long],
          [long, short],
        ];
      });
      const sizes = [[scale, scale], [between, between], ...shapes].map((size) => size.map(rounded));
      return { rows: cells, columns: cells, sizes };
    }),
  };
}

import type { Clues } from './clues.js';

/** A mask's coefficients (`nm` of Ultralytics' Segment). */
const MASK_COEFFICIENTS = 32;

/** Whether Ultralytics wrote the file, and says so in its metadata. */
export function byUltralytics({ metadata }: Pick<Clues, 'metadata'>): boolean {
  return ['detect', 'segment', 'pose', 'obb'].includes(metadata.task ?? '') && metadata.stride !== undefined;
}

/** Values behind the classes of each location: masks, key points, an angle. Source: ultralytics, nn/modules/head.py. */
export function extraColumns({ metadata, outputs }: Pick<Clues, 'metadata' | 'outputs'>): number {
  const points = /^\s*\[\s*(\d{1,3})\s*,\s*(\d)\s*\]\s*$/.exec(metadata.kpt_shape ?? '');
  if (metadata.task === 'pose' && points !== null) return Number(points[1]) * Number(points[2]);
  if (metadata.task === 'obb') return 1;
  const masks = outputs.some(({ sizes }) => sizes.length === 4 && sizes[1] === MASK_COEFFICIENTS);
  return masks || metadata.task === 'segment' ? MASK_COEFFICIENTS : 0;
}

/** RT-DETR out of Ultralytics: centres and sizes, 0..1 of a stretched picture. Source: ultralytics, models/rtdetr/predict.py. */
export function isRtDetr({ metadata }: Pick<Clues, 'metadata'>): boolean {
  return metadata.head === 'RTDETRDecoder' || /\brt-?detr/i.test(metadata.description ?? '');
}

/** The size that a model of any size was made for, out of `imgsz: [height, width]`. */
export function madeForSize(metadata: Readonly<Record<string, string>>): { width: number; height: number } | null {
  const match = /^\s*\[\s*(\d{2,4})\s*,\s*(\d{2,4})\s*\]\s*$/.exec(metadata.imgsz ?? '');
  if (match === null) return null;
  const [height, width] = [Number(match[1]), Number(match[2])];
  return [height, width].every((side) => side >= 16 && side <= 4096) ? { width, height } : null;
}

import type { CocoTruth } from './coco-match.js';

export const DATASET_FORMATS = ['coco', 'yolo', 'voc', 'folders'] as const;
export type DatasetFormat = (typeof DATASET_FORMATS)[number];

/** A picture with the objects in it. */
export interface BoxPicture {
  /** As the data set calls it: COCO's image id; else its number in the sorted list, from 1. */
  id: number | string;
  /** Path of the picture. */
  file: string;
  /** Pixels of the frame that the boxes are drawn in, upright. */
  width: number;
  height: number;
  /** `category` is an index into `categories`. */
  truths: CocoTruth[];
}

/** Pictures with boxes, for detectors. */
export interface BoxDataset {
  kind: 'boxes';
  format: 'coco' | 'yolo' | 'voc';
  /** Names, by category index. */
  categories: string[];
  /** The data set's own ids of the categories, by category index. */
  categoryIds: number[];
  /** Sorted by id, as pycocotools sorts them. */
  pictures: BoxPicture[];
  /** What a reader of the figures should know: what was left out, which split was taken. */
  notes: string[];
}

/** Pictures that show one thing each, for classifiers. */
export interface ClassDataset {
  kind: 'classes';
  format: 'folders';
  categories: string[];
  /** `category` is an index into `categories`. */
  pictures: { file: string; category: number }[];
  notes: string[];
}

export type Dataset = BoxDataset | ClassDataset;

export interface DatasetOptions {
  /** Guessed from what lies there when absent. */
  format?: DatasetFormat;
  /** Which part of a data set that has several: `val`, `test`, `train`, ...; else the first of these that is there. */
  split?: string;
  /** Folder of the pictures, when it is not where the format expects it. */
  images?: string;
  /** Text file with one class name a line, for YOLO folders without a data.yaml. */
  labels?: string;
  /** Take only the first pictures, in the order of their ids. */
  limit?: number;
}

/** Looked for in this order when no split is named. */
export const SPLITS = ['val', 'valid', 'validation', 'test', 'train'];

export const MAX_PICTURES = 1_000_000;
export const MAX_OBJECTS = 10_000_000;
/** A JavaScript string ends at 512 Mi characters; COCO's whole training set takes 450 MB. */
export const MAX_JSON_BYTES = 500 * 1000 * 1000;
/** One picture's label file, or a list of names or pictures. */
export const MAX_TEXT_BYTES = 64 * 1024 * 1024;
export const MAX_XML_BYTES = 4 * 1024 * 1024;

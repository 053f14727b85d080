/** A public model that can be fetched by name: a URL that is pinned to bytes. */
export interface CatalogueEntry {
  name: string;
  description: string;
  url: string;
  /** Of the file, 64 hex digits; what does not match is deleted. */
  sha256: string;
  bytes: number;
  /** SPDX name, as the source states it. */
  license: string;
  /** Of the manifest, `decoder.type`. */
  decoder: string;
}

const YOLOX = 'https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0';
const LICENSE = 'Apache-2.0';

/**
 * Only files whose hash is published by several independent projects that fetched them (and, for yolox-s, by OpenCV's model zoo,
 * which stores the same bytes by Git LFS: the pointer's oid is the SHA-256). Whoever adds one fetches the file, runs `sha256sum`,
 * and names the licence's source in the commit. A pin that were wrong would refuse the file, never take another.
 */
export const CATALOGUE: readonly CatalogueEntry[] = [
  {
    name: 'yolox-nano',
    description: 'YOLOX-Nano, COCO 80 classes, 416 x 416, BGR 0..255 padded with 114 at the right and bottom',
    url: `${YOLOX}/yolox_nano.onnx`,
    sha256: 'c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d',
    bytes: 3_659_407,
    license: LICENSE,
    decoder: 'yolox',
  },
  {
    name: 'yolox-tiny',
    description: 'YOLOX-Tiny, COCO 80 classes, 416 x 416, BGR 0..255 padded with 114 at the right and bottom',
    url: `${YOLOX}/yolox_tiny.onnx`,
    sha256: '427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7',
    bytes: 20_219_662,
    license: LICENSE,
    decoder: 'yolox',
  },
  {
    name: 'yolox-s',
    description: 'YOLOX-S, COCO 80 classes, 640 x 640, BGR 0..255 padded with 114 at the right and bottom',
    url: `${YOLOX}/yolox_s.onnx`,
    sha256: 'c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063',
    bytes: 35_858_002,
    license: LICENSE,
    decoder: 'yolox',
  },
];

import sharp from 'sharp';

// One frame is encoded at a time beside the detector, on boards with few cores: no thread pool, no cache of inputs that never come again.
sharp.cache(false);
sharp.concurrency(1);

/** Encodes packed RGB (3 × width × height bytes) as baseline JPEG 4:2:0. `rgb` may be used again once settled. */
export async function encodeJpeg(rgb: Uint8Array, width: number, height: number, quality: number): Promise<Buffer> {
  // Huffman tables made for each picture would save 3 % of the bytes and double the time (640 × 360: 1.5 against 2.9 ms).
  return sharp(rgb, { raw: { width, height, channels: 3 } })
    .jpeg({ quality, chromaSubsampling: '4:2:0', optimiseCoding: false, progressive: false })
    .toBuffer();
}

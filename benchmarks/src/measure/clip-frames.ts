import type { InputSpec } from '@vigie/models/package/manifest';

/** Input arguments of ffmpeg that decode a file with one thread, as a board does. */
export function decodeArguments(clip: string, loops: number): string[] {
  return ['-nostdin', '-v', 'error', '-threads', '1', '-stream_loop', String(loops - 1), '-i', clip];
}

/** The filter that makes a model's frame (G, B, R planes) of a camera's, with the scaler that the agent uses. */
export function modelFrameFilter(input: Pick<InputSpec, 'width' | 'height' | 'resize' | 'pad' | 'anchor'>): string {
  const { width, height } = input;
  if (input.resize === 'stretch') return `scale=${width}:${height}:flags=bilinear,format=gbrp`;
  const corner = input.anchor === 'top-left' ? '0:0' : '(ow-iw)/2:(oh-ih)/2';
  const grey = (input.pad ?? 0).toString(16).padStart(2, '0');
  return (
    `scale=${width}:${height}:force_original_aspect_ratio=decrease:flags=bilinear,format=gbrp,` +
    `pad=${width}:${height}:${corner}:0x${grey.repeat(3)}`
  );
}

/** Cuts a buffer of raw frames into views of one frame each. Throws RangeError on a remainder. */
export function splitFrames(raw: Buffer, frameBytes: number): Uint8Array[] {
  if (raw.length === 0 || raw.length % frameBytes !== 0) {
    throw new RangeError(`${raw.length} bytes are not whole frames of ${frameBytes} bytes`);
  }
  return Array.from({ length: raw.length / frameBytes }, (_, index) =>
    raw.subarray(index * frameBytes, (index + 1) * frameBytes),
  );
}

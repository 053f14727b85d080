import { chunkLayout, type ReleaseDescriptor } from '@vigie/protocol';

/** Bytes of a release's chunks that a board which runs another one does not hold: each chunk counts once. `held` null: all. */
export function missingBytes(wanted: ReleaseDescriptor, held: ReleaseDescriptor | null): number {
  const known = new Set(held?.files.flatMap(({ chunks }) => chunks));
  let bytes = 0;
  for (const file of wanted.files) {
    for (const [index, { length }] of chunkLayout(file).entries()) {
      const name = file.chunks[index];
      if (known.has(name)) continue;
      known.add(name);
      bytes += length;
    }
  }
  return bytes;
}

import { join } from 'node:path';
import { type ChunkPlace, chunkLayout, type ReleaseDescriptor } from '@vigie/protocol';
import { InstallError } from '../update/install-error.js';
import type { WantedChunk } from './delivery/chunk-transport.js';
import type { FileSystem } from './file-system.js';
import { type Cut, eachChunk, filesBelow, heldAt, type Place } from './slot-files.js';

/** A chunk that a slot lacks, and everywhere it belongs. */
export interface MissingChunk extends WantedChunk {
  places: Place[];
}

/** What is to be done to fill a slot. Bytes. */
export interface SlotPlan {
  missing: Map<string, MissingChunk>;
  /** Missing chunks that lie elsewhere on this disk. */
  sources: Map<string, Place>;
  /** Every file of the package, by its path on the disk. */
  files: Map<string, { size: number }>;
  presentBytes: number;
  totalBytes: number;
}

/**
 * Looks at what the disk holds of a release: its own folder, chunk by chunk at their places, and (where something is missing) the
 * folders in `others`, whose files are cut as the publisher cuts them. Nothing is believed that was not hashed just now, so that it does
 * not matter how an earlier download ended. Throws InstallError DESCRIPTOR_INVALID.
 */
export async function planSlot(
  disk: FileSystem,
  descriptor: ReleaseDescriptor,
  directory: string,
  others: () => Promise<string[]>,
  signal: AbortSignal,
): Promise<SlotPlan> {
  const plan: SlotPlan = { missing: new Map(), sources: new Map(), files: new Map(), presentBytes: 0, totalBytes: 0 };
  for (const file of descriptor.files) {
    const path = join(directory, file.path);
    plan.files.set(path, { size: file.size });
    const layout = layoutOf(file);
    const held = await heldAt(disk, path, layout, signal);
    for (const { sha256, offset, length } of layout) {
      plan.totalBytes += length;
      if (held.has(offset)) {
        plan.presentBytes += length;
        continue;
      }
      const chunk = plan.missing.get(sha256) ?? { sha256, length, file: { sha256: file.sha256, offset }, places: [] };
      if (chunk.length !== length)
        throw new InstallError('DESCRIPTOR_INVALID', `chunk ${sha256} has ${chunk.length} and ${length} bytes`);
      chunk.places.push({ path, offset, length });
      plan.missing.set(sha256, chunk);
    }
  }
  if (plan.missing.size > 0) await findSources(disk, plan, descriptor, await others(), signal);
  return plan;
}

async function findSources(
  disk: FileSystem,
  { missing, sources }: SlotPlan,
  descriptor: ReleaseDescriptor,
  directories: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const cuts = new Set(descriptor.files.map((file): Cut => (file.chunkSizes === undefined ? 'fixed' : 'content')));
  for (const directory of directories) {
    for (const path of await filesBelow(disk, directory)) {
      for (const cut of cuts) {
        const search = eachChunk(
          disk,
          join(directory, path),
          cut,
          (sha256, place) => {
            if (missing.has(sha256)) sources.set(sha256, place);
          },
          signal,
        );
        // A file of another release that cannot be read is no reason to give up this one: its chunks are fetched.
        await search.catch(() => signal.throwIfAborted());
      }
    }
  }
}

function layoutOf(file: ReleaseDescriptor['files'][number]): ChunkPlace[] {
  try {
    return chunkLayout(file);
  } catch (error) {
    throw new InstallError('DESCRIPTOR_INVALID', (error as Error).message, { cause: error });
  }
}

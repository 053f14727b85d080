import { packDirectory } from '@vigie/models/package/archive';
import { type FleetClient, type FleetRelease, FleetRequestError } from '../clients/fleet-client.js';

/** A published release with the size of the archive that was uploaded, bytes. */
export interface PublishedRelease extends FleetRelease {
  archiveBytes: number;
}

/** Packs a folder and uploads it. A server that has this very release already keeps the one it has. */
export async function publishDirectory(fleet: FleetClient, directory: string): Promise<PublishedRelease> {
  const { bytes, digest, manifest } = await packDirectory(directory);
  try {
    return { ...(await fleet.publishRelease(bytes)), archiveBytes: bytes.length };
  } catch (error) {
    if (!(error instanceof FleetRequestError) || error.status !== 409) throw error;
    const existing = (await fleet.releases()).find(
      (release) => release.name === manifest.name && release.version === manifest.version && release.digest === digest,
    );
    if (existing === undefined) throw error;
    return { ...existing, archiveBytes: bytes.length };
  }
}

import { Metadata, MetadataKind } from '@tufjs/models';
import {
  chunkTopic,
  decodeMessage,
  type ReleaseDescriptor,
  TUF_INDEX_TOPIC,
  type TufIndex,
  tufTopic,
} from '@vigie/protocol';
import { type Listener, sha256 } from './server-fixture.js';

type Json = Parameters<typeof Metadata.fromJSON>[1];
const json = (bytes: Buffer) => JSON.parse(bytes.toString()) as Json;

/** Walks the TUF client workflow (5.1 to 5.6 of the specification) over retained topics; throws where a client must refuse. */
export async function verifiedTargets(listener: Listener, trustedRoot: string, now = new Date()) {
  const decoded = decodeMessage('tuf-index', await listener.fetch(TUF_INDEX_TOPIC));
  if (!decoded.ok) throw new Error(decoded.detail);
  const index: TufIndex = decoded.message;
  let root = Metadata.fromJSON(MetadataKind.Root, JSON.parse(trustedRoot) as Json);
  for (let version = root.signed.version + 1; version <= index.root; version += 1) {
    const next = Metadata.fromJSON(MetadataKind.Root, json(await listener.fetch(tufTopic('root', version))));
    root.verifyDelegate('root', next);
    next.verifyDelegate('root', next);
    root = next;
  }
  const timestamp = Metadata.fromJSON(MetadataKind.Timestamp, json(await listener.fetch(tufTopic('timestamp', null))));
  root.verifyDelegate('timestamp', timestamp);
  const snapshotBytes = await listener.fetch(tufTopic('snapshot', timestamp.signed.snapshotMeta.version));
  timestamp.signed.snapshotMeta.verify(snapshotBytes);
  const snapshot = Metadata.fromJSON(MetadataKind.Snapshot, json(snapshotBytes));
  root.verifyDelegate('snapshot', snapshot);
  const targetsBytes = await listener.fetch(tufTopic('targets', snapshot.signed.meta['targets.json'].version));
  snapshot.signed.meta['targets.json'].verify(targetsBytes);
  const targets = Metadata.fromJSON(MetadataKind.Targets, json(targetsBytes));
  root.verifyDelegate('targets', targets);
  for (const { signed } of [root, timestamp, snapshot, targets])
    if (signed.isExpired(now)) throw new Error(`${signed.type} expired`);
  return { index, targets: targets.signed.targets };
}

/** Fetches a release as a board does: the descriptor by its TUF hash, then each chunk by its own. */
export async function fetchRelease(listener: Listener, target: { length: number; hashes: Record<string, string> }) {
  const descriptorBytes = await listener.fetch(chunkTopic(target.hashes.sha256));
  if (sha256(descriptorBytes) !== target.hashes.sha256 || descriptorBytes.length !== target.length)
    throw new Error('descriptor');
  const descriptor = JSON.parse(descriptorBytes.toString()) as ReleaseDescriptor;
  for (const file of descriptor.files) {
    const chunks: Buffer[] = [];
    for (const name of file.chunks) {
      const chunk = await listener.fetch(chunkTopic(name));
      if (sha256(chunk) !== name) throw new Error(`chunk ${name}`);
      chunks.push(chunk);
    }
    const bytes = Buffer.concat(chunks);
    if (bytes.length !== file.size || sha256(bytes) !== file.sha256) throw new Error(`file ${file.path}`);
  }
  return descriptor;
}

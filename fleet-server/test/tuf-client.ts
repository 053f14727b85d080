import { Value } from '@sinclair/typebox/value';
import { Metadata, MetadataKind, type TargetFile } from '@tufjs/models';
import {
  Certificate,
  type ChunkReference,
  certificateTargetPath,
  chunkTopic,
  decodeMessage,
  type ReleaseDescriptor,
  TUF_INDEX_TOPIC,
  type TufIndex,
  type TufRole,
  tufTopic,
} from '@vigie/protocol';
import { type Listener, sha256 } from './server-fixture.js';

type Json = Parameters<typeof Metadata.fromJSON>[1];
const json = (bytes: Buffer) => JSON.parse(bytes.toString()) as Json;

export interface Verified {
  index: TufIndex;
  targets: Record<string, TargetFile>;
  certified: Record<string, TargetFile>;
}

/** Walks the TUF client workflow (5.1 to 5.6 of the specification) over retained topics; throws where a client must refuse. */
export async function verifiedTargets(listener: Listener, trustedRoot: string, now = new Date()): Promise<Verified> {
  const decoded = decodeMessage('tuf-index', await listener.fetch(TUF_INDEX_TOPIC));
  if (!decoded.ok) throw new Error(decoded.detail);
  const index: TufIndex = decoded.message;
  const fetch = (role: Exclude<TufRole, 'root' | 'timestamp'>, version: number) => {
    const parts = version === index[role] ? index.parts?.[role] : undefined;
    return parts === undefined ? listener.fetch(tufTopic(role, version)) : joinChunks(listener, parts);
  };
  let root = Metadata.fromJSON(MetadataKind.Root, JSON.parse(trustedRoot) as Json);
  for (let version = root.signed.version + 1; version <= index.root; version += 1) {
    const next = Metadata.fromJSON(MetadataKind.Root, json(await listener.fetch(tufTopic('root', version))));
    root.verifyDelegate('root', next);
    next.verifyDelegate('root', next);
    root = next;
  }
  const timestamp = Metadata.fromJSON(MetadataKind.Timestamp, json(await listener.fetch(tufTopic('timestamp', null))));
  root.verifyDelegate('timestamp', timestamp);
  const snapshotBytes = await fetch('snapshot', timestamp.signed.snapshotMeta.version);
  timestamp.signed.snapshotMeta.verify(snapshotBytes);
  const snapshot = Metadata.fromJSON(MetadataKind.Snapshot, json(snapshotBytes));
  root.verifyDelegate('snapshot', snapshot);
  const open = async (role: 'targets' | 'certified') => {
    const meta = snapshot.signed.meta[`${role}.json`];
    const bytes = await fetch(role, meta.version);
    meta.verify(bytes);
    return Metadata.fromJSON(MetadataKind.Targets, json(bytes));
  };
  const targets = await open('targets');
  root.verifyDelegate('targets', targets);
  const certified = await open('certified');
  targets.verifyDelegate('certified', certified);
  for (const { signed } of [root, timestamp, snapshot, targets, certified])
    if (signed.isExpired(now)) throw new Error(`${signed.type} expired`);
  const [role] = Object.values(targets.signed.delegations?.roles ?? {});
  for (const path of Object.keys(certified.signed.targets))
    if (!role.isDelegatedPath(path)) throw new Error(`certified may not list ${path}`);
  return { index, targets: targets.signed.targets, certified: certified.signed.targets };
}

/** The bytes of a target: one chunk named by its hash, or those that it names. */
export async function fetchTarget(listener: Listener, target: TargetFile): Promise<Buffer> {
  const { chunks } = target.custom as { chunks?: ChunkReference[] };
  const bytes =
    chunks === undefined ? await listener.fetch(chunkTopic(target.hashes.sha256)) : await joinChunks(listener, chunks);
  if (sha256(bytes) !== target.hashes.sha256 || bytes.length !== target.length) throw new Error(target.path);
  return bytes;
}

/** Fetches a release as a board does: its certificate and descriptor by their TUF hashes, then each chunk by its own. */
export async function fetchRelease(listener: Listener, { targets, certified }: Verified, path: string) {
  const descriptor = JSON.parse((await fetchTarget(listener, targets[path])).toString()) as ReleaseDescriptor;
  const listed = certified[certificateTargetPath(descriptor.digest)];
  const certificate: unknown = JSON.parse((await fetchTarget(listener, listed)).toString());
  if (!Value.Check(Certificate, certificate) || certificate.digest !== descriptor.digest)
    throw new Error('certificate');
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
  return { descriptor, certificate };
}

async function joinChunks(listener: Listener, references: readonly ChunkReference[]): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (const { sha256: name, size } of references) {
    const bytes = await listener.fetch(chunkTopic(name));
    if (sha256(bytes) !== name || bytes.length !== size) throw new Error(`chunk ${name}`);
    pieces.push(bytes);
  }
  return Buffer.concat(pieces);
}

import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { packageDigest } from '@vigie/models/package/digest';
import { parseManifest } from '@vigie/models/package/manifest-file';
import { type ChunkPlace, chunkLayout, type ReleaseDescriptor } from '@vigie/protocol';
import type { ReleaseRecord, ReleaseRepository } from '../io/database/release-repository.js';
import type { Now, ObjectStore, SandboxCode, VerifyArchive } from '../ports.js';
import { type ManifestSummary, type ReleaseProvenance, summarise } from '../registry/release-facts.js';
import { admit, type ReleasePolicy } from '../registry/release-state.js';
import { checkUpload, type UploadVerdict } from '../registry/upload-check.js';
import type { Publication } from './publication.js';
import { Serial } from './serial.js';

type RefusedUpload = Extract<UploadVerdict, { kind: 'refuse' }>['code'];

export interface RefusedPackage {
  ok: false;
  code: SandboxCode | RefusedUpload | 'UPLOAD_TOO_LARGE' | 'UPLOAD_CUT' | 'SERVER_BUSY';
  packageCode?: string;
  detail: string;
}

export type UploadResult = { ok: true; created: boolean; release: ReleaseRecord } | RefusedPackage;

/** Who brings a package, and what is known of it beside its bytes. */
export interface PackageOrigin {
  actor: string;
  notes?: string;
  provenance?: ReleaseProvenance;
}

/** Packages that come in one piece at the same time. */
const MAX_UPLOADS = 4;
const MANIFEST = 'manifest.yaml';

class TooLarge extends Error {}

/** Takes packages in: to a temporary file, through the sandbox, into the object store, the database and the TUF targets. */
export class ReleaseIntake {
  readonly #verification = new Serial();
  readonly #registry = new Serial();
  #uploads = 0;

  constructor(
    private readonly temporary: string,
    private readonly maxBytes: number,
    private readonly verify: VerifyArchive,
    private readonly objects: ObjectStore,
    private readonly releases: ReleaseRepository,
    private readonly publication: Publication,
    private readonly policy: ReleasePolicy,
    private readonly now: Now,
  ) {}

  /** Takes a package from a stream. */
  async upload(body: Readable, origin: PackageOrigin): Promise<UploadResult> {
    if (this.#uploads >= MAX_UPLOADS) {
      return {
        ok: false,
        code: 'SERVER_BUSY',
        detail: `${MAX_UPLOADS} uploads are under way; try again when one has ended`,
      };
    }
    this.#uploads += 1;
    const archive = join(this.temporary, `${randomUUID()}.vigie`);
    try {
      const received = await this.#receive(body, archive);
      return received ?? (await this.take(archive, origin));
    } finally {
      this.#uploads -= 1;
      await rm(archive, { force: true });
    }
  }

  /** Takes a package that lies on the disk; the file stays. */
  async take(archive: string, origin: PackageOrigin): Promise<UploadResult> {
    const directory = join(this.temporary, randomUUID());
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const verified = await this.#verification.run(() => this.verify(archive, directory));
      if (!verified.ok) return verified;
      return await this.#registry.run(() => this.#register(verified.descriptor, directory, origin));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  async #receive(body: Readable, archive: string): Promise<RefusedPackage | null> {
    let bytes = 0;
    const bound = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        bytes += chunk.length;
        done(bytes > this.maxBytes ? new TooLarge() : null, chunk);
      },
    });
    try {
      await pipeline(body, bound, createWriteStream(archive, { mode: 0o600, flags: 'wx' }));
      return null;
    } catch (error) {
      if (error instanceof TooLarge) {
        const detail = `the package is over ${this.maxBytes} bytes; make it smaller or raise upload.maxBytes`;
        return { ok: false, code: 'UPLOAD_TOO_LARGE', detail };
      }
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'ECONNRESET' && code !== 'ERR_STREAM_PREMATURE_CLOSE' && code !== 'ABORT_ERR') throw error;
      return { ok: false, code: 'UPLOAD_CUT', detail: 'the connection ended before the package did; send it again' };
    }
  }

  async #register(descriptor: ReleaseDescriptor, directory: string, origin: PackageOrigin): Promise<UploadResult> {
    const bytes = Buffer.from(JSON.stringify(descriptor));
    const known = await this.#known(descriptor, bytes, origin);
    if (known !== null) return known;
    const manifest = await this.#store(descriptor, directory);
    if (manifest === null) {
      return {
        ok: false,
        code: 'VERIFICATION_CRASHED',
        detail: 'the files are not what the load and golden test said; send the package again',
      };
    }
    const descriptorSha256 = createHash('sha256').update(bytes).digest('hex');
    await this.objects.put(descriptorSha256, bytes);
    const release = await this.releases.insert({
      ...{ descriptor, descriptorSha256, descriptorBytes: bytes.length, manifest },
      bytes: descriptor.files.reduce((sum, file) => sum + file.size, 0),
      ...admit(this.policy),
      createdAt: this.now(),
      ...{ uploadedBy: origin.actor, notes: origin.notes ?? '', provenance: origin.provenance ?? null },
    });
    if (release === null) {
      const taken = await this.#known(descriptor, bytes, origin);
      if (taken === null) throw new Error('a name and version that are taken belong to no release');
      return taken;
    }
    // From here on the garbage collector sees the reference; what it took before that is put back.
    await this.#put(descriptor, directory);
    await this.objects.put(descriptorSha256, bytes);
    await this.publication.publishReleases();
    return { ok: true, created: true, release };
  }

  /** The answer, where no new release comes of it. */
  async #known(
    descriptor: ReleaseDescriptor,
    bytes: Buffer,
    { provenance }: PackageOrigin,
  ): Promise<UploadResult | null> {
    const { name, version } = descriptor;
    const existing = await this.releases.find(name, version);
    const verdict = checkUpload(descriptor, bytes.length, existing, this.publication.sizeWith(name, version, bytes));
    if (verdict.kind === 'refuse') return { ok: false, code: verdict.code, detail: verdict.detail };
    if (verdict.kind === 'accept' || existing === null) return null;
    if (provenance !== undefined && existing.provenance === null) {
      await this.releases.setProvenance(existing.id, provenance);
      return { ok: true, created: false, release: { ...existing, provenance } };
    }
    return { ok: true, created: false, release: existing };
  }

  async #put({ files }: ReleaseDescriptor, directory: string): Promise<void> {
    for (const { sha256, path } of files) await this.objects.put(sha256, createReadStream(join(directory, path)));
  }

  /**
   * Stores the files under their hashes, and checks what the child process said of them: it ran foreign bytes. Null: it was
   * not true.
   */
  async #store(descriptor: ReleaseDescriptor, directory: string): Promise<ManifestSummary | null> {
    if (packageDigest(descriptor.files) !== descriptor.digest) return null;
    await this.#put(descriptor, directory);
    for (const file of descriptor.files) {
      const layout = layoutOf(file);
      if (layout === null) return null;
      let index = 0;
      for await (const piece of this.objects.pieces(file.sha256, layout)) {
        const { sha256, length } = layout[index];
        if (piece.length !== length || createHash('sha256').update(piece).digest('hex') !== sha256) return null;
        index += 1;
      }
    }
    try {
      return summarise(parseManifest(await readFile(join(directory, MANIFEST), 'utf8')));
    } catch {
      return null;
    }
  }
}

/** The chunks as the child process says they lie; null where they do not make up the file. */
function layoutOf(file: ReleaseDescriptor['files'][number]): ChunkPlace[] | null {
  try {
    return chunkLayout(file);
  } catch {
    return null;
  }
}

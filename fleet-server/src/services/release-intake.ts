import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { packageDigest } from '@vigie/models/package/digest';
import { type ChunkPlace, chunkLayout, type ReleaseDescriptor } from '@vigie/protocol';
import type { ReleaseRecord, ReleaseRepository } from '../io/database/release-repository.js';
import type { Now, ObjectStore, SandboxCode, VerifyArchive } from '../ports.js';
import { admit, type ReleasePolicy, transition } from '../registry/release-state.js';
import { checkUpload, type UploadVerdict } from '../registry/upload-check.js';
import type { Publication } from './publication.js';
import { Serial } from './serial.js';

type RefusedUpload = Extract<UploadVerdict, { kind: 'refuse' }>['code'];

export type UploadResult =
  | { ok: true; created: boolean; release: ReleaseRecord }
  | {
      ok: false;
      code: SandboxCode | RefusedUpload | 'UPLOAD_TOO_LARGE' | 'UPLOAD_CUT' | 'SERVER_BUSY';
      packageCode?: string;
      detail: string;
    };

export type WithdrawResult =
  | { ok: true; release: ReleaseRecord }
  | { ok: false; code: 'RELEASE_UNKNOWN' | 'RELEASE_STATE_FORBIDDEN'; detail: string };

/** Uploads on disk at the same time. */
const MAX_UPLOADS = 4;

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

  async upload(body: Readable): Promise<UploadResult> {
    if (this.#uploads >= MAX_UPLOADS) {
      return {
        ok: false,
        code: 'SERVER_BUSY',
        detail: `${MAX_UPLOADS} uploads are under way; try again when one has ended`,
      };
    }
    this.#uploads += 1;
    const folder = join(this.temporary, randomUUID());
    const archive = join(folder, 'package.vigie');
    const directory = join(folder, 'unpacked');
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const received = await this.#receive(body, archive);
      if (received !== null) return received;
      const verified = await this.#verification.run(() => this.verify(archive, directory));
      if (!verified.ok) return verified;
      return await this.#registry.run(() => this.#register(verified.descriptor, directory));
    } finally {
      this.#uploads -= 1;
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Takes a release out of the targets. Boards that run it keep it; none installs it any more. */
  async withdraw(name: string, version: string): Promise<WithdrawResult> {
    const result = await this.#registry.run(async (): Promise<WithdrawResult> => {
      const release = await this.releases.find(name, version);
      if (release === null)
        return { ok: false, code: 'RELEASE_UNKNOWN', detail: `${name}@${version} is not in the registry` };
      const step = transition(release.state, 'withdrawn');
      if (!step.ok) return step;
      const withdrawnAt = release.withdrawnAt ?? this.now();
      await this.releases.setState(release.id, step.state, withdrawnAt);
      return { ok: true, release: { ...release, state: step.state, withdrawnAt } };
    });
    if (result.ok) await this.publication.publishReleases();
    return result;
  }

  async #receive(body: Readable, archive: string): Promise<Extract<UploadResult, { ok: false }> | null> {
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

  async #register(descriptor: ReleaseDescriptor, directory: string): Promise<UploadResult> {
    const { name, version } = descriptor;
    const bytes = Buffer.from(JSON.stringify(descriptor));
    const existing = await this.releases.find(name, version);
    const verdict = checkUpload(descriptor, bytes.length, existing, this.publication.sizeWith(name, version, bytes));
    if (verdict.kind === 'refuse') return { ok: false, code: verdict.code, detail: verdict.detail };
    if (verdict.kind === 'same') return { ok: true, created: false, release: existing! };
    const stored = await this.#store(descriptor, directory);
    if (!stored) {
      return {
        ok: false,
        code: 'VERIFICATION_CRASHED',
        detail: 'the files are not what the load and golden test said; send the package again',
      };
    }
    const descriptorSha256 = createHash('sha256').update(bytes).digest('hex');
    await this.objects.put(descriptorSha256, bytes);
    const release = await this.releases.insert({
      descriptor,
      descriptorSha256,
      descriptorBytes: bytes.length,
      bytes: descriptor.files.reduce((sum, file) => sum + file.size, 0),
      ...admit(this.policy),
      createdAt: this.now(),
    });
    await this.publication.publishReleases();
    return { ok: true, created: true, release };
  }

  /** Stores the files under their hashes, and checks what the child process said of them: it ran foreign bytes. */
  async #store(descriptor: ReleaseDescriptor, directory: string): Promise<boolean> {
    if (packageDigest(descriptor.files) !== descriptor.digest) return false;
    for (const file of descriptor.files) {
      await this.objects.put(file.sha256, createReadStream(join(directory, file.path)));
      const layout = layoutOf(file);
      if (layout === null) return false;
      let index = 0;
      for await (const piece of this.objects.pieces(file.sha256, layout)) {
        const { sha256, length } = layout[index];
        if (piece.length !== length || createHash('sha256').update(piece).digest('hex') !== sha256) return false;
        index += 1;
      }
    }
    return true;
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

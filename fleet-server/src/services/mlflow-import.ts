import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Now } from '../ports.js';
import type { MlflowSource } from '../registry/upload.js';
import { MlflowError, type MlflowServer } from './mlflow-server.js';
import type { FetchPackage } from './release-uploads.js';

/** Makes a `.vigie` archive of a folder, away from the server's process. */
export type PackFolder = (
  directory: string,
  archive: string,
) => Promise<{ ok: true } | { ok: false; code: string; detail: string }>;

const MANIFEST = 'manifest.yaml';
/** Entries that are looked at, and how deep. */
const MAX_ENTRIES = 2000;
const MAX_DEPTH = 6;
/** As paths inside packages are: what another server calls its files must not lead out of a folder. */
const SEGMENT = /^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,128}$/;

interface Found {
  path: string;
  bytes: number | null;
}

class Unusable extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Fetches a version of a registered model: a `.vigie` file among its artifacts, or a folder with a manifest. */
export class MlflowImport {
  constructor(
    private readonly server: MlflowServer,
    private readonly pack: PackFolder,
    /** Emptied at each start. */
    private readonly temporary: string,
    private readonly maxBytes: number,
    private readonly now: Now,
  ) {}

  readonly fetch: FetchPackage = async (source, archive) => {
    const folder = join(this.temporary, randomUUID());
    try {
      const version = await this.server.version(source.model, whichOf(source));
      const root = await this.server.artifactRoot(version);
      const { archives, manifests, files } = await this.#look(root);
      if (archives.length === 1) await this.#download(root, archives[0], archive, { left: this.maxBytes });
      else if (archives.length === 0 && manifests.length === 1) {
        await this.#gather(root, manifests[0], files, folder, archive);
      } else throw severalOrNone(source.model, version.version, archives, manifests);
      const metrics = version.runId === null ? {} : await this.server.metrics(version.runId);
      const { url } = this.server;
      const importedAt = this.now().toISOString();
      const about = { model: version.model, version: version.version, runId: version.runId };
      return { ok: true, provenance: { kind: 'mlflow', url, ...about, metrics, importedAt } };
    } catch (error) {
      if (!(error instanceof MlflowError) && !(error instanceof Unusable)) throw error;
      return { ok: false, failure: { code: error.code, detail: error.message } };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };

  /** All files, and those that a package can be made of. Paths below `root`. */
  async #look(root: string): Promise<{ archives: Found[]; manifests: string[]; files: Found[] }> {
    const files: Found[] = [];
    const waiting = [{ folder: '', depth: 0 }];
    let entries = 0;
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      for (const { name, folder, bytes } of await this.server.list(join(root, next.folder))) {
        entries += 1;
        if (entries > MAX_ENTRIES) throw new Unusable('MLFLOW_TOO_LARGE', `over ${MAX_ENTRIES} artifacts are there`);
        if (!SEGMENT.test(name)) continue;
        const path = next.folder === '' ? name : `${next.folder}/${name}`;
        if (!folder) files.push({ path, bytes });
        else if (next.depth < MAX_DEPTH) waiting.push({ folder: path, depth: next.depth + 1 });
      }
    }
    const named = (file: string) => files.filter(({ path }) => path === file || path.endsWith(`/${file}`));
    const manifests = named(MANIFEST).map(({ path }) => path.slice(0, -MANIFEST.length));
    return { archives: files.filter(({ path }) => path.endsWith('.vigie')), manifests, files };
  }

  /** Downloads everything beside and below a manifest, and packs it. `prefix`: empty, or with a slash at its end. */
  async #gather(root: string, prefix: string, files: readonly Found[], folder: string, archive: string): Promise<void> {
    const budget = { left: this.maxBytes };
    for (const file of files.filter(({ path }) => path.startsWith(prefix))) {
      const target = join(folder, file.path.slice(prefix.length));
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      await this.#download(root, file, target, budget);
    }
    const packed = await this.pack(folder, archive);
    if (!packed.ok) throw new Unusable(packed.code, packed.detail);
  }

  async #download(root: string, { path, bytes }: Found, target: string, budget: { left: number }): Promise<void> {
    const tooLarge = () =>
      new Unusable('UPLOAD_TOO_LARGE', `${path} takes the package over ${this.maxBytes} bytes; raise upload.maxBytes`);
    if (bytes !== null && bytes > budget.left) throw tooLarge();
    const bound = new Transform({
      transform(part: Buffer, _encoding, done) {
        budget.left -= part.length;
        done(budget.left < 0 ? tooLarge() : null, part);
      },
    });
    const body = await this.server.download(join(root, path));
    try {
      await pipeline(body, bound, createWriteStream(target, { mode: 0o600 }));
    } catch (error) {
      if (error instanceof Unusable) throw error;
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOSPC') throw error;
      throw new MlflowError('MLFLOW_UNREACHABLE', `the download of ${path} broke off; import it again`);
    }
  }
}

function whichOf({ version, alias }: MlflowSource): { version: string } | { alias: string } {
  return version === undefined ? { alias: alias ?? 'candidate' } : { version };
}

function severalOrNone(
  model: string,
  version: string,
  archives: readonly Found[],
  manifests: readonly string[],
): Unusable {
  const label = `version ${version} of ${model}`;
  if (archives.length + manifests.length === 0) {
    return new Unusable(
      'MLFLOW_NO_PACKAGE',
      `${label} holds neither a .vigie file nor a folder with ${MANIFEST}; log what vigie-models pack made`,
    );
  }
  const names = [...archives.map(({ path }) => path), ...manifests.map((prefix) => `${prefix}${MANIFEST}`)];
  return new Unusable('MLFLOW_SEVERAL_PACKAGES', `${label} holds several packages: ${names.slice(0, 5).join(', ')}`);
}

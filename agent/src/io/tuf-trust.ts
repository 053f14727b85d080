import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Metadata, MetadataKind, type Targets } from '@tufjs/models';
import { InstallError } from '../update/install-error.js';
import type { Log } from '../update/ports.js';
import type { FileSystem } from './file-system.js';
import type { MetadataSession, MetadataSource } from './metadata-source.js';
import { tufErrorCode } from './tuf-errors.js';
import { TufFolder } from './tuf-folder.js';
import type { TufMemory } from './tuf-memory.js';
import { soundRoot, TufUpdate } from './tuf-update.js';

export interface TufTrustOptions {
  /** `<data>/tuf`: the trusted metadata. `<data>/tuf.old` and `<data>/tuf.new` belong to it. */
  directory: string;
  /** The root the board was enrolled with: what it falls back to when the folder was lost or torn. */
  enrolledRoot: string;
  /** Wall time that may be trusted, ms since 1970. */
  now(): number;
  log: Log;
  files?: FileSystem;
}

/** The trusted folder and updates of it, one at a time. */
export class TufTrust {
  private readonly folder: TufFolder;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: TufTrustOptions) {
    this.folder = new TufFolder({ ...options, soundRoot });
  }

  /** What is remembered beside the metadata, after whatever a crash left was mended. */
  async open(): Promise<TufMemory> {
    await this.folder.recover();
    return this.folder.memory();
  }

  /**
   * Opens a source, brings the top roles up to date and does `work` with them. What was verified is kept also when a later
   * step fails, as the specification has it (a new root must count from then on); an abort keeps nothing.
   * Throws InstallError TUF_*, DISK_*, what `work` threw, or the signal's reason.
   */
  update<T>(
    source: MetadataSource,
    signal: AbortSignal,
    work: (update: TufUpdate, session: MetadataSession) => Promise<T>,
  ): Promise<T> {
    const run = this.tail.then(() => this.run(source, signal, work));
    this.tail = run.catch(() => {});
    return run;
  }

  private async run<T>(
    source: MetadataSource,
    signal: AbortSignal,
    work: (update: TufUpdate, session: MetadataSession) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const { folder, options } = this;
    const memory = await this.open();
    const scratch = await folder.begin();
    let update: TufUpdate | null = null;
    try {
      const session = await source.open(signal);
      update = new TufUpdate(scratch, session, new Date(options.now()), memory);
      update.knowDelegations(await delegatorOf(scratch));
      await update.refresh();
      const result = await work(update, session);
      await folder.commit(update.memory);
      return result;
    } catch (error) {
      signal.throwIfAborted();
      const coded = asTufError(error);
      options.log.warn({ source: source.name, code: coded.code, detail: coded.message }, 'TUF update refused');
      if (update !== null) await folder.commit(update.memory);
      throw coded;
    } finally {
      await folder.discard();
    }
  }
}

function asTufError(error: unknown): InstallError {
  if (error instanceof InstallError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new InstallError(tufErrorCode(error, false), message, { cause: error });
}

/** The `targets` of the last update, which was verified then; null when there is none. */
async function delegatorOf(directory: string): Promise<Targets | null> {
  try {
    const text = await readFile(join(directory, 'targets.json'), 'utf8');
    return Metadata.fromJSON(MetadataKind.Targets, JSON.parse(text)).signed;
  } catch {
    return null;
  }
}

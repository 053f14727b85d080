import type { Logger } from 'pino';
import type { Now, ObjectStore } from '../ports.js';

/** What the store holds, and what of it nobody refers to any more. */
export interface StorageReport {
  objects: number;
  bytes: number;
  /** Not referred to; `old`: also for longer than the grace period, so that the next collection deletes them. */
  unreferenced: { objects: number; bytes: number; oldObjects: number; oldBytes: number };
}

export interface CollectionReport {
  at: Date;
  deletedObjects: number;
  deletedBytes: number;
}

/**
 * Deletes objects that nothing refers to. An upload writes its objects before the row that refers to them, so an object counts
 * only when it was not put for the grace period; and the store itself looks once more at the moment of the deletion, since an
 * upload of the same bytes makes an old object new (`ObjectStore.collect`).
 */
export class BlobCollector {
  #last: CollectionReport | null = null;

  constructor(
    private readonly objects: ObjectStore,
    /** Asked before the store is listed: what is written later is younger than the grace period. */
    private readonly references: () => Promise<ReadonlySet<string>>,
    /** Ms. */
    private readonly grace: number,
    private readonly log: Logger,
    private readonly now: Now,
  ) {}

  get last(): CollectionReport | null {
    return this.#last;
  }

  async collect(): Promise<CollectionReport> {
    const at = this.now();
    const before = new Date(at.getTime() - this.grace);
    const references = await this.references();
    const report: CollectionReport = { at, deletedObjects: 0, deletedBytes: 0 };
    for await (const { sha256, bytes, putAt } of this.objects.list()) {
      if (references.has(sha256) || putAt >= before) continue;
      if (!(await this.objects.collect(sha256, before))) continue;
      report.deletedObjects += 1;
      report.deletedBytes += bytes;
    }
    this.#last = report;
    if (report.deletedObjects > 0) this.log.info(report, 'objects that nothing referred to were deleted');
    return report;
  }

  async measure(): Promise<StorageReport> {
    const before = new Date(this.now().getTime() - this.grace);
    const references = await this.references();
    const unreferenced = { objects: 0, bytes: 0, oldObjects: 0, oldBytes: 0 };
    const report = { objects: 0, bytes: 0, unreferenced };
    for await (const { sha256, bytes, putAt } of this.objects.list()) {
      report.objects += 1;
      report.bytes += bytes;
      if (references.has(sha256)) continue;
      unreferenced.objects += 1;
      unreferenced.bytes += bytes;
      if (putAt >= before) continue;
      unreferenced.oldObjects += 1;
      unreferenced.oldBytes += bytes;
    }
    return report;
  }
}

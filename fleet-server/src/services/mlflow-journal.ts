import type { Logger } from 'pino';
import type { ActivityRepository, ActivityRow } from '../io/database/activity-repository.js';
import type { ReleaseRepository } from '../io/database/release-repository.js';
import type { Now } from '../ports.js';
import type { MlflowProvenance } from '../registry/release-facts.js';
import type { ActivityKind } from './activity-kinds.js';
import { mlflowNotes } from './mlflow-notes.js';
import { MlflowError, type MlflowServer } from './mlflow-server.js';

const READER = 'mlflow';
const BATCH = 100;
/** First wait after a failure, doubled up to the last, ms. */
const FIRST_WAIT_MS = 5000;
const LAST_WAIT_MS = 600_000;

const KINDS: readonly ActivityKind[] = [
  'release.changed',
  'release.certified',
  'release.withdrawn',
  'release.promoted',
  'benchmark.posted',
  'gate.judged',
  'gate.overridden',
  'rollout.created',
  'rollout.changed',
  'rollout.ended',
];

/**
 * Writes what happens to imported releases back to the run they came from. Follows the activity log with a cursor that moves
 * only past what MLflow has taken or refused for good: nothing is lost over an outage or a crash, and what is sent twice is the
 * same metric (same key, time and step) or the same tag.
 */
export class MlflowJournal {
  #failures = 0;
  #notBefore = 0;
  #lastCode: string | null = null;
  #refused = 0;

  constructor(
    private readonly server: MlflowServer,
    private readonly activity: ActivityRepository,
    private readonly releases: ReleaseRepository,
    private readonly log: Logger,
    private readonly now: Now,
  ) {}

  /** For `/health`, which anybody may read: failures in a row, entries that MLflow refused for good, the last code. */
  get state(): { failures: number; refused: number; lastCode: string | null } {
    return { failures: this.#failures, refused: this.#refused, lastCode: this.#lastCode };
  }

  async follow(): Promise<void> {
    if (this.now().getTime() < this.#notBefore) return;
    let cursor = (await this.activity.cursor(READER)) ?? 0;
    for (;;) {
      const { rows, seenTo } = await this.activity.passing(cursor, BATCH, KINDS);
      for (const row of rows) {
        if (!(await this.#deliver(row))) return;
        cursor = row.id;
        await this.activity.cursorMove(READER, cursor);
      }
      if (rows.length === BATCH) continue;
      // Other kinds of entries are passed over for good.
      if (seenTo > cursor) await this.activity.cursorMove(READER, seenTo);
      return;
    }
  }

  /** Returns whether to go on. */
  async #deliver(row: ActivityRow): Promise<boolean> {
    const provenance = await this.#provenanceOf(row);
    if (provenance === null) return true;
    try {
      await this.#write(row, provenance);
    } catch (error) {
      if (!(error instanceof MlflowError)) throw error;
      this.#lastCode = error.code;
      if (error.code === 'MLFLOW_UNKNOWN' || error.code === 'MLFLOW_REFUSED') {
        this.#refused += 1;
        this.log.warn({ entry: row.id, kind: row.kind, subject: row.subject, code: error.code }, error.message);
        return true;
      }
      const wait = Math.min(FIRST_WAIT_MS * 2 ** this.#failures, LAST_WAIT_MS);
      this.#failures += 1;
      this.#notBefore = this.now().getTime() + wait;
      this.log.warn({ code: error.code, waitMs: wait, entry: row.id }, `MLflow: ${error.message}`);
      return false;
    }
    this.#failures = 0;
    this.#lastCode = null;
    return true;
  }

  async #write(row: ActivityRow, { model, version, runId }: MlflowProvenance): Promise<void> {
    const { metrics, tags, alias } = mlflowNotes(row);
    const timestamp = row.at.getTime();
    if (runId !== null) {
      const timed = metrics.map((metric) => ({ ...metric, timestamp, step: row.id }));
      await this.server.log(runId, timed, tags);
    } else for (const [key, value] of Object.entries(tags)) await this.server.tagVersion(model, version, key, value);
    if (alias !== null) await this.server.setAlias(model, alias, version);
  }

  async #provenanceOf({ subject, body }: ActivityRow): Promise<MlflowProvenance | null> {
    const named = (body.release ?? body) as { name?: unknown; version?: unknown };
    const [name, version] =
      typeof named.name === 'string' && typeof named.version === 'string'
        ? [named.name, named.version]
        : subject.split('@');
    if (version === undefined) return null;
    const release = await this.releases.find(name, version);
    if (release?.provenance?.kind !== 'mlflow') return null;
    return release.provenance.url === this.server.url ? release.provenance : null;
  }
}

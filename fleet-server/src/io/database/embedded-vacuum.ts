import { sql } from 'drizzle-orm';
import type { Database } from './database.js';

/** Transactions after which a table's rows are frozen: far below the two thousand million at which PostgreSQL stops. */
const FREEZE_AGE = 100_000_000;
/** New rows after which a table is looked through at the latest: the embedded database does nothing else meanwhile. */
const MOST_NEW_ROWS = 50_000;

interface Due {
  name: string;
  vacuum: boolean;
  /** Its rows must be frozen. */
  old: boolean;
}

/**
 * What the autovacuum daemon does in PostgreSQL and nobody in an embedded one: gives the room of dead rows back, counts what is
 * there for the planner, keeps transaction numbers from running out, those of the catalogs too. By the daemon's own figures
 * (PostgreSQL 17, "The Autovacuum Daemon"): a fifth of a table changed, or a tenth of it for the planner alone.
 */
export class EmbeddedVacuum {
  readonly #database: Database;

  constructor(
    database: Database,
    private readonly freezeAge = FREEZE_AGE,
  ) {
    this.#database = database.ranked('background');
  }

  /** Table by table: whoever asks waits for one of them only. Returns the names of those that were due; throws after the last. */
  async round(): Promise<string[]> {
    const tables = await this.#due();
    const errors: unknown[] = [];
    for (const { name, vacuum, old } of tables) {
      const how = !vacuum ? 'analyze' : old ? 'vacuum (analyze, freeze)' : 'vacuum (analyze)';
      await this.#database.drizzle.execute(sql.raw(`${how} ${name}`)).catch((error: unknown) => errors.push(error));
    }
    if (errors.length > 0) throw errors[0];
    return tables.map(({ name }) => name);
  }

  async #due(): Promise<Due[]> {
    return (await this.#database.drizzle.execute(sql`
      with tables as (
        select format('%I.%I', n.nspname, c.relname) as name, greatest(c.reltuples, 0) as rows,
          s.n_dead_tup as dead, s.n_ins_since_vacuum as fresh, s.n_mod_since_analyze as changed,
          greatest(age(c.relfrozenxid), coalesce(age(toast.relfrozenxid), 0)) > ${this.freezeAge}::int as old
        from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_stat_all_tables s on s.relid = c.oid
        left join pg_class toast on toast.oid = c.reltoastrelid
        where c.relkind = 'r' and c.relpersistence = 'p'
      ),
      judged as (
        select name, old, old or dead > 50 + 0.2 * rows or fresh > least(1000 + 0.2 * rows, ${MOST_NEW_ROWS}::int) as vacuum,
          changed > 50 + 0.1 * rows as recount
        from tables
      )
      select name, vacuum, old from judged where vacuum or recount order by name`)) as unknown as Due[];
  }
}

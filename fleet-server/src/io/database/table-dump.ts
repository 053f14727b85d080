import { type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { rawQuery } from './raw-query.js';

/** A table as its catalogue describes it. */
export interface TableShape {
  name: string;
  /** Those that can be written, in order: generated ones are not. */
  columns: string[];
  /** With their types as casts name them. */
  primaryKey: { name: string; type: string }[];
  /** Tables that its foreign keys lead to. */
  references: string[];
}

interface ShapeRow {
  name: string;
  columns: string[];
  primary_key: { name: string; type: string }[] | null;
  foreign_tables: string[] | null;
}

/** All tables of the server, each after those that it references. */
export async function tableShapes({ drizzle }: Database): Promise<TableShape[]> {
  const rows = (await drizzle.execute(sql`
    select c.relname as name,
      (select json_agg(a.attname order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns,
      (select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)) order by k.place)
        from pg_index i cross join lateral unnest(i.indkey::int2[]) with ordinality as k(number, place)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
        where i.indrelid = c.oid and i.indisprimary) as primary_key,
      (select json_agg(distinct f.relname) from pg_constraint o join pg_class f on f.oid = o.confrelid
        where o.conrelid = c.oid and o.contype = 'f' and o.confrelid <> c.oid) as foreign_tables
    from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace order by c.relname`)) as unknown as ShapeRow[];
  const shapes = rows.map((row) => ({
    ...{ name: row.name, columns: row.columns },
    ...{ primaryKey: row.primary_key ?? [], references: row.foreign_tables ?? [] },
  }));
  return parentsFirst(shapes);
}

function parentsFirst(shapes: readonly TableShape[]): TableShape[] {
  const ordered: TableShape[] = [];
  const done = new Set<string>();
  const visit = (shape: TableShape) => {
    if (done.has(shape.name)) return;
    done.add(shape.name);
    for (const parent of shape.references) {
      const found = shapes.find(({ name }) => name === parent);
      if (found !== undefined) visit(found);
    }
    ordered.push(shape);
  };
  for (const shape of shapes) visit(shape);
  return ordered;
}

/**
 * Rows of these tables as of one moment, each row a line of JSON (PostgreSQL's own `to_jsonb`, so nothing is lost on a way
 * through JavaScript numbers). Held in memory: for tables that others point into.
 */
export async function snapshotTables(
  database: Database,
  shapes: readonly TableShape[],
): Promise<{ name: string; rows: string[] }[]> {
  const results = await database.transaction([
    rawQuery(database, sql`set transaction isolation level repeatable read`),
    ...shapes.map((shape) => rawQuery(database, selection(shape, null, null))),
  ]);
  return shapes.map(({ name }, index) => ({ name, rows: results[index + 1].map((row) => row.row as string) }));
}

/** The same for a table that nothing points into, page by page along its primary key: it may be of any size. */
export async function* tablePages(
  database: Database,
  shape: TableShape,
  pageRows = 2000,
): AsyncGenerator<string[], void, undefined> {
  let after: unknown[] | null = null;
  for (;;) {
    const rows = (await database.drizzle.execute(selection(shape, after, pageRows))) as unknown as {
      row: string;
      key: unknown[];
    }[];
    if (rows.length > 0) yield rows.map(({ row }) => row);
    if (rows.length < pageRows) return;
    const { key } = rows[rows.length - 1];
    after = typeof key === 'string' ? (JSON.parse(key) as unknown[]) : key;
  }
}

function selection({ name, primaryKey }: TableShape, after: readonly unknown[] | null, limit: number | null): SQL {
  const list = (parts: SQL[]) => sql.join(parts, sql`, `);
  const keys = primaryKey.map((column) => sql`t.${sql.identifier(column.name)}`);
  const texts = keys.map((key) => sql`${key}::text`);
  const key = sql`json_build_array(${list(texts)})`;
  const values = primaryKey.map((column, index) => sql`${String(after?.[index])}::text::${sql.raw(column.type)}`);
  const where = after === null ? sql`` : sql` where (${list(keys)}) > (${list(values)})`;
  const order = keys.length === 0 ? sql`` : sql` order by ${list(keys)}`;
  const end = limit === null ? sql`` : sql` limit ${limit}`;
  return sql`select to_jsonb(t)::text as row, ${key} as key from ${sql.identifier(name)} t${where}${order}${end}`;
}

/**
 * Writes dumped rows. Columns that the dump does not know take their defaults; identities keep their numbers. Throws
 * DatabaseError for a row that does not fit.
 */
export async function loadRows(database: Database, shape: TableShape, rows: readonly string[]): Promise<void> {
  if (rows.length === 0) return;
  const known = new Set(Object.keys(JSON.parse(rows[0]) as object));
  const columns = sql.join(
    shape.columns.filter((column) => known.has(column)).map((column) => sql.identifier(column)),
    sql`, `,
  );
  const table = sql.identifier(shape.name);
  await database.drizzle.execute(sql`insert into ${table} (${columns}) overriding system value
    select ${columns} from jsonb_populate_recordset(null::${table}, ${`[${rows.join(',')}]`}::jsonb)`);
}

/** Removes what migrations put into tables that are about to be loaded. */
export async function emptyTables(database: Database, shapes: readonly TableShape[]): Promise<void> {
  for (const { name } of [...shapes].reverse()) {
    const [{ filled }] = (await database.drizzle.execute(
      sql`select exists (select 1 from ${sql.identifier(name)}) as filled`,
    )) as unknown as { filled: boolean }[];
    if (filled) await database.drizzle.execute(sql`delete from ${sql.identifier(name)}`);
  }
}

/** Lets every identity and serial go on `jump` above the largest number that is there. */
export async function advanceSequences({ drizzle }: Database, jump: number): Promise<void> {
  const found = (await drizzle.execute(sql`
    select c.relname as table_name, a.attname as column_name, pg_get_serial_sequence(quote_ident(c.relname), a.attname) as sequence
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
      and pg_get_serial_sequence(quote_ident(c.relname), a.attname) is not null`)) as unknown as {
    table_name: string;
    column_name: string;
    sequence: string;
  }[];
  for (const { table_name, column_name, sequence } of found) {
    const top = sql`(select coalesce(max(${sql.identifier(column_name)}), 0) from ${sql.identifier(table_name)})`;
    await drizzle.execute(sql`select setval(${sequence}::regclass, ${top} + ${jump}::bigint)`);
  }
}

import type { SQL } from 'drizzle-orm';
import type { BatchItem } from 'drizzle-orm/batch';
import { type DrizzleD1Database, drizzle } from 'drizzle-orm/d1';

export type Db = DrizzleD1Database & { $client: D1Database };

/** Opens the database. D1 has no interactive transactions: one statement or one `batch()` holds what belongs together. */
export function openDb(database: D1Database): Db {
  return drizzle(database);
}

/** A hand-written statement for a batch; its rows come as D1 gives them. */
export function statement<Row>(db: Db, query: SQL) {
  const raw = db.all<Row>(query);
  // drizzle's batch binds parameters to `stmt`, which it does not make for raw queries.
  return Object.assign(raw, { stmt: db.$client.prepare(raw.getQuery().sql) });
}

type Statement = BatchItem<'sqlite'>;
/** A statement, a list of them, or none. */
type Entry = Statement | readonly Statement[] | undefined;
/** The rows of a statement; a list of statements gives none. */
type Answer<E> = E extends Statement ? E['_']['result'] : undefined;

/**
 * Runs statements as one transaction, in the order of their names here, and returns each one's rows under its name. A name must not be a
 * number, because an object puts numbers first.
 */
export async function batch<Entries extends Readonly<Record<string, Entry>>>(
  db: Db,
  entries: Entries,
): Promise<{ [Name in keyof Entries]: Answer<Entries[Name]> }> {
  const statements = Object.values(entries).flatMap((entry) => entry ?? []) as [Statement, ...Statement[]];
  const given: unknown[] = await db.batch(statements);
  let at = 0;
  const answers = Object.entries(entries).map(([name, entry]) => {
    if (!Array.isArray(entry)) return [name, entry && given[at++]];
    at += entry.length;
    return [name, undefined];
  });
  return Object.fromEntries(answers);
}

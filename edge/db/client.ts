import type { SQL } from 'drizzle-orm';
import { type DrizzleD1Database, drizzle } from 'drizzle-orm/d1';

export type Db = DrizzleD1Database & { $client: D1Database };

/** D1 has no interactive transactions: what belongs together goes into one statement or one `db.batch()`. */
export function openDb(database: D1Database): Db {
  return drizzle(database);
}

/** A hand-written statement for a batch; its rows are as D1 gives them. */
export function statement<Row>(db: Db, query: SQL) {
  const raw = db.all<Row>(query);
  // drizzle's batch binds parameters to `stmt`, which it does not make for raw queries.
  return Object.assign(raw, { stmt: db.$client.prepare(raw.getQuery().sql) });
}

import { type GetColumnData, type SQL, sql } from 'drizzle-orm';
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core';

/** Most characters of a JSON column in an item of a list: a page has a hundred items. */
const LISTED_CHARS = 4096;

function isLong(column: SQLiteColumn): SQL {
  return sql`length(${column}) > ${sql.raw(String(LISTED_CHARS))}`;
}

/** A JSON column in a list: `instead` takes the place of a long one. */
export function unlessLong<C extends SQLiteColumn>(column: C, instead: SQL): SQL<GetColumnData<C>> {
  return sql`CASE WHEN ${isLong(column)} THEN ${instead} ELSE ${column} END`.mapWith(column) as SQL<
    GetColumnData<C>
  >;
}

/** True where a list leaves out something of a row. */
export function isAbridged(...columns: SQLiteColumn[]): SQL<boolean | null> {
  return sql`(${sql.join(columns.map(isLong), sql` OR `)})`.mapWith(Boolean);
}

import { type GetColumnData, type SQL, sql } from 'drizzle-orm';
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core';

/** Characters of a JSON column that an item of a list may show: a page has a hundred items. */
const LISTED_CHARS = 4096;

function isLong(column: SQLiteColumn): SQL {
  return sql`length(${column}) > ${sql.raw(String(LISTED_CHARS))}`;
}

/** A JSON column as a list shows it: `instead` where it is long. */
export function unlessLong<C extends SQLiteColumn>(column: C, instead: SQL): SQL<GetColumnData<C>> {
  return sql`CASE WHEN ${isLong(column)} THEN ${instead} ELSE ${column} END`.mapWith(column) as SQL<
    GetColumnData<C>
  >;
}

/** Whether a list leaves out something of a row. */
export function isAbridged(...columns: SQLiteColumn[]): SQL<boolean | null> {
  return sql`(${sql.join(columns.map(isLong), sql` OR `)})`.mapWith(Boolean);
}

import { asc, desc, gt, lt, type SQL } from 'drizzle-orm';
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core';

/** One page of a list ordered by age: `limit` items after the one whose id is `after`. */
export interface Paging {
  after?: string | undefined;
  limit: number;
  order: 'asc' | 'desc';
}

/** Matches the items after the one at `last`, in that order. */
export function beyond(seq: SQLiteColumn, last: number, order: Paging['order']): SQL {
  return order === 'asc' ? gt(seq, last) : lt(seq, last);
}

export function byAge(seq: SQLiteColumn, order: Paging['order']): SQL {
  return order === 'asc' ? asc(seq) : desc(seq);
}

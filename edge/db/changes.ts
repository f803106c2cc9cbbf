import { and, asc, eq, gt, lt, type SQL, sql } from 'drizzle-orm';
import { MAX_NAME_CHANGES, type NameChange, type ServingState } from '../../shared/api/nodes.ts';
import { SERVING_LEASE_SECONDS } from '../../shared/job-state.ts';
import { type Db, statement } from './client.ts';
import { changes } from './schema.ts';

/** Records a change before it is made. From now on nobody caches what its name resolves to. */
export async function proposeChange(db: Db, tenant: string, name: string, now: number): Promise<NameChange> {
  const [row] = await db
    .insert(changes)
    .values({ tenant, name, createdAt: now })
    .returning({ seq: changes.seq });
  return { tenant, name, seq: row!.seq };
}

/** The guard of the statements that make a change: they run only while nobody has given it up. */
export function isPending(seq: number): SQL {
  return sql`EXISTS (SELECT 1 FROM ${changes} AS c WHERE c.seq = ${seq} AND c.pending = 1)`;
}

/** Marks a change as made or given up: what its name resolves to may be cached again. */
export async function settleChange(db: Db, seq: number): Promise<void> {
  await db.update(changes).set({ pending: false }).where(eq(changes.seq, seq));
}

/** Gives up changes older than `before`, whose makers are gone. */
export async function settleAbandoned(db: Db, before: number): Promise<void> {
  await db
    .update(changes)
    .set({ pending: false })
    .where(and(sql`${changes.pending} = 1`, lt(changes.createdAt, before)));
}

/** Forgets changes older than `before`, except the last one. A node that needs a forgotten change is told that it lacks some. */
export async function forgetChanges(db: Db, before: number): Promise<void> {
  const last = sql`(SELECT max(seq) FROM ${changes})`;
  await db
    .delete(changes)
    .where(and(sql`${changes.pending} = 0`, lt(changes.createdAt, before), sql`${changes.seq} < ${last}`));
}

/** The newest change, as part of another statement, so that both read the same state. */
export const head = sql<number>`(SELECT coalesce(max(seq), 0) FROM changes)`;

/** Statements for a batch: `ends` reads the first and last change there are, `changes` those after `after`. */
export function changesAfter(db: Db, after: number | null) {
  return {
    ends: statement<Ends>(
      db,
      sql`SELECT ${head} AS head, (SELECT coalesce(min(seq), 1) FROM ${changes}) AS first`,
    ),
    changes: db
      .select({ tenant: changes.tenant, name: changes.name, seq: changes.seq })
      .from(changes)
      .where(after === null ? sql`0` : gt(changes.seq, after))
      .orderBy(asc(changes.seq))
      .limit(MAX_NAME_CHANGES + 1),
  };
}

interface Ends {
  head: number;
  first: number;
}

/** The serving state for a node that knows the changes up to `after`, from the rows of `changesAfter`. */
export function servingState(after: number | null, { head, first }: Ends, rows: NameChange[]): ServingState {
  const complete = after !== null && after + 1 >= first && rows.length <= MAX_NAME_CHANGES;
  return { lease_seconds: SERVING_LEASE_SECONDS, head, changes: complete ? rows : null };
}

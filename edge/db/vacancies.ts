import { lt, type SQL, sql } from 'drizzle-orm';
import { type Db, statement } from './client.ts';
import { vacancies } from './schema.ts';

/**
 * The place of an item in its list, or its place before it was deleted; undefined where the tenant never had it.
 * @param standing a statement that gives the `seq` of an item that is there
 */
export async function placeOf(
  db: Db,
  tenant: string,
  id: string,
  standing: SQL,
): Promise<number | undefined> {
  const rows = await db.all<{ seq: number }>(sql`${standing}
    UNION ALL SELECT seq FROM ${vacancies} WHERE tenant = ${tenant} AND id = ${id}`);
  return rows.length === 1 ? rows[0]!.seq : undefined;
}

/** A statement for a batch, before a deletion: it records the items' places. `doomed` gives tenant, id and `seq` of each. */
export function noteVacancies(db: Db, doomed: SQL, now: number) {
  return statement(
    db,
    sql`INSERT INTO ${vacancies} (tenant, id, seq, created_at)
    SELECT d.tenant, d.id, d.seq, ${now} FROM (${doomed}) AS d`,
  );
}

/** Forgets the places of items deleted before `before`. */
export async function forgetVacancies(db: Db, before: number): Promise<void> {
  await db.delete(vacancies).where(lt(vacancies.createdAt, before));
}

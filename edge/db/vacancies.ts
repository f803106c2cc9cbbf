import { lt, type SQL, sql } from 'drizzle-orm';
import { type Db, statement } from './client.ts';
import { vacancies } from './schema.ts';

/**
 * Where the item of this id stands in its list, or stood before it was deleted; undefined where the tenant never had it.
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

/** A statement for a batch, before the deletion: notes where the items stand. `doomed` gives tenant, id and `seq` of each. */
export function noteVacancies(db: Db, doomed: SQL, now: number) {
  return statement(
    db,
    sql`INSERT INTO ${vacancies} (tenant, id, seq, created_at)
    SELECT d.tenant, d.id, d.seq, ${now} FROM (${doomed}) AS d`,
  );
}

/** Forgets where items stood that were deleted before `before`. */
export async function forgetVacancies(db: Db, before: number): Promise<void> {
  await db.delete(vacancies).where(lt(vacancies.createdAt, before));
}

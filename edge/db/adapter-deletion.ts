import { and, not, sql } from 'drizzle-orm';
import { BUNDLE_FILES } from '../../shared/adapter-format.ts';
import { parseAdapterRef } from '../../shared/api/common.ts';
import { matching } from './adapters.ts';
import { aliasesOn, forgetHistory } from './aliases.ts';
import { isPending } from './changes.ts';
import { batch, type Db, statement } from './client.ts';
import { noteEvents } from './job-events.ts';
import { adapterAliases, adapters, deletions, jobs, objects } from './schema.ts';
import { unfinished } from './unfinished.ts';
import { noteVacancies } from './vacancies.ts';

export interface DeletedAdapters {
  /** Bundles that no adapter has any more; nodes may drop them. */
  bundles: string[];
  /** R2 keys, already due for the sweep. */
  keys: string[];
}

/**
 * Deletes a version, or all versions of a name, in one transaction: running jobs are cancelled, stored files become due for deletion, and
 * nodes will be told of each bundle that no other adapter has. Returns undefined where there was nothing to delete, an alias names what
 * there is, or `change` is no longer pending.
 */
export async function deleteAdapters(
  db: Db,
  tenant: string,
  ref: string,
  change: number,
  now: number,
): Promise<DeletedAdapters | undefined> {
  const isNamed = sql`EXISTS (SELECT 1 FROM ${adapterAliases} WHERE ${aliasesOn(tenant, ref)})`;
  const doomed = and(matching(tenant, ref), isPending(change), not(isNamed))!;
  const theirs = sql`${jobs.id} IN (SELECT job_id FROM ${adapters} WHERE ${doomed})
    AND ${jobs.status} IN (${unfinished})`;
  const places = sql`SELECT tenant, name || '@' || version AS id, seq FROM ${adapters} WHERE ${doomed}`;
  const { gone } = await batch(db, {
    vacancies: noteVacancies(db, places, now),
    events: noteEvents(db, theirs, [{ level: 'warn', message: 'The adapter was deleted.' }], now),
    jobs: db.update(jobs).set({ status: 'cancelled', finishedAt: now, leaseUntil: null }).where(theirs),
    tombstones: statement(
      db,
      sql`INSERT INTO ${deletions} (bundle, created_at)
      SELECT DISTINCT ${adapters.bundle}, ${now} FROM ${adapters}
      WHERE ${doomed} AND ${adapters.bundle} IS NOT NULL`,
    ),
    objects: statement(
      db,
      sql`UPDATE ${objects} SET expires_at = ${now} WHERE key IN (
      SELECT ${adapters.prefix} || f.value FROM ${adapters}, json_each(${JSON.stringify(BUNDLE_FILES)}) AS f
      WHERE ${doomed} AND ${adapters.prefix} IS NOT NULL)`,
    ),
    gone: db.delete(adapters).where(doomed).returning({ bundle: adapters.bundle, prefix: adapters.prefix }),
    history: forgetHistory(db, tenant, parseAdapterRef(ref).name),
    // Another adapter may have the same content and so the same bundle; then nodes keep it.
    shared: statement(
      db,
      sql`DELETE FROM ${deletions} WHERE created_at = ${now}
      AND EXISTS (SELECT 1 FROM ${adapters} WHERE ${adapters.bundle} = ${deletions}.bundle)`,
    ),
  });
  if (gone.length === 0) return undefined;
  const keys = gone.flatMap(({ prefix }) =>
    prefix === null ? [] : BUNDLE_FILES.map((name) => prefix + name),
  );
  return {
    bundles: await unshared(
      db,
      gone.map((row) => row.bundle),
    ),
    keys,
  };
}

/** The bundles among `bundles` that no adapter has. */
async function unshared(db: Db, bundles: (string | null)[]): Promise<string[]> {
  const wanted = JSON.stringify([...new Set(bundles.filter((bundle) => bundle !== null))]);
  const rows = await db.all<{ bundle: string }>(sql`SELECT b.value AS bundle FROM json_each(${wanted}) AS b
    WHERE NOT EXISTS (SELECT 1 FROM ${adapters} WHERE ${adapters.bundle} = b.value)`);
  return rows.map((row) => row.bundle);
}

/** Forgets tombstones older than `before`: by then every node that missed one has dropped its copy. */
export async function forgetDeletions(db: Db, before: number): Promise<void> {
  await db.delete(deletions).where(sql`${deletions.createdAt} < ${before}`);
}

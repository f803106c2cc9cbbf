import { and, eq, sql } from 'drizzle-orm';
import { batch, type Db } from './client.ts';
import { leased } from './leases.ts';
import { expireUnwanted } from './objects.ts';
import { type JobCheckpoint, jobs, objects } from './schema.ts';

/**
 * Makes a stored training state the one that the job's next attempt goes on from, provided that the lease still holds and the object
 * is there. What it replaces is due for the sweep. Returns whether it did.
 */
export async function keepCheckpoint(
  db: Db,
  job: { id: string; token: string },
  checkpoint: JobCheckpoint,
  now: number,
): Promise<boolean> {
  const { key } = checkpoint;
  const mine = leased(job.id, job.token);
  const stored = sql`EXISTS (SELECT 1 FROM ${objects} WHERE ${objects.key} = ${key} AND ${objects.sha256} IS NOT NULL)`;
  const earlier = sql`(SELECT ${jobs.checkpoint} ->> '$.key' FROM ${jobs} WHERE ${mine} AND ${stored})`;
  const kept = sql`EXISTS (SELECT 1 FROM ${jobs} WHERE ${jobs.id} = ${job.id} AND ${jobs.checkpoint} ->> '$.key' = ${key})`;
  const { named } = await batch(db, {
    earlier: db.update(objects).set({ expiresAt: now }).where(eq(objects.key, earlier)),
    named: db.update(jobs).set({ checkpoint }).where(and(mine, stored)).returning({ id: jobs.id }),
    object: db
      .update(objects)
      .set({ expiresAt: null })
      .where(and(eq(objects.key, key), kept)),
  });
  return named.length > 0;
}

/** Saved states that no unfinished job would go on from are nobody's any more. `prefix` ends in a slash, a job's id follows. */
export async function releaseCheckpoints(db: Db, prefix: string, now: number): Promise<void> {
  const rest = sql`substr(${objects.key}, ${prefix.length + 1})`;
  const wanted = sql`EXISTS (SELECT 1 FROM ${jobs}
    WHERE ${jobs.id} = substr(${rest}, 1, instr(${rest}, '/') - 1) AND ${jobs.status} IN ('queued', 'running')
      AND ${jobs.checkpoint} ->> '$.key' = ${objects.key})`;
  await expireUnwanted(db, prefix, wanted, now);
}

import { and, eq, inArray, isNull, type SQL, sql } from 'drizzle-orm';
import type { BundleManifest } from '../../shared/adapter-format.ts';
import type { CompleteJob, FailJob } from '../../shared/api/nodes.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import { packMetrics } from '../../shared/packed-metrics.ts';
import { storable } from './adapters.ts';
import { isPending } from './changes.ts';
import { batch, type Db } from './client.ts';
import { fileWhere, type NewFile } from './files.ts';
import { noteEvents } from './job-events.ts';
import type { JobRow } from './jobs.ts';
import { endAttempt, leased } from './leases.ts';
import { claimObjects } from './objects.ts';
import { adapters, deletions, jobs, objects } from './schema.ts';

/** A node that shuts down hands its job back with this code; that costs no attempt. */
const HANDED_BACK: ErrorCode = 'shutting_down';

/** A trained bundle whose files are in R2 under `prefix`, and the file of its metrics, whose object is there. */
export interface TrainedBundle {
  bundle: string;
  manifest: BundleManifest;
  prefix: string;
  results: NewFile;
}

/**
 * Finishes a job and registers its adapter, both or neither. Every statement is guarded by the lease. The first also checks that `change`
 * is still pending and the bundle's objects are there, so that no sweep takes them in between. Returns whether the job was finished.
 */
export async function finishJob(
  db: Db,
  { id, tenant, adapterName, adapterVersion }: JobRow,
  body: CompleteJob,
  { bundle, manifest, prefix, results }: TrainedBundle,
  change: number,
  now: number,
): Promise<boolean> {
  const { resolved, metrics } = body;
  const keys = manifest.map((entry) => prefix + entry.name);
  const stored = db.$count(objects, and(inArray(objects.key, keys), sql`${objects.sha256} IS NOT NULL`));
  const finished = and(eq(jobs.id, id), eq(jobs.leaseToken, body.token), eq(jobs.status, 'succeeded'))!;
  const done = sql`EXISTS (SELECT 1 FROM ${jobs} WHERE ${finished})`;
  // Clients of OpenAI's API look for these words.
  const messages = [
    `New fine-tuned model created: ${adapterName}@${adapterVersion}`,
    'The job has successfully completed',
  ];
  const closing = messages.map((message) => ({ level: 'info' as const, message }));
  const { completed } = await batch(db, {
    completed: db
      .update(jobs)
      .set({
        status: 'succeeded',
        resolved,
        trainedTokens: body.trained_tokens,
        finishedAt: now,
        resultFile: results.id,
        leaseUntil: null,
        error: null,
      })
      .where(and(leased(id, body.token), eq(stored, keys.length), isPending(change)))
      .returning({ id: jobs.id }),
    adapter: db
      .update(adapters)
      .set({
        bundle,
        manifest,
        prefix,
        labels: resolved.labels,
        metrics: metrics && { validation: storable(packMetrics(metrics.validation)) },
        method: resolved.method,
        hyperparameters: resolved.hyperparameters,
        readyAt: now,
      })
      .where(
        and(
          eq(adapters.tenant, tenant),
          eq(adapters.name, adapterName),
          eq(adapters.version, adapterVersion),
          isNull(adapters.bundle),
          done,
        ),
      ),
    objects: claimObjects(db, [...keys, results.objectKey], done),
    results: fileWhere(db, results, done),
    // Equal files give an equal bundle, so an old tombstone would make nodes drop an adapter that is trained again.
    tombstone: db.delete(deletions).where(and(eq(deletions.bundle, bundle), done)),
    events: noteEvents(db, finished, [...body.events, ...closing], now),
  });
  return completed.length > 0;
}

/** Ends a failed attempt. Returns the job's state after it, or undefined where the lease is no longer this one. */
export async function failAttempt(
  db: Db,
  id: string,
  body: FailJob,
  now: number,
): Promise<string | undefined> {
  const { error, retryable: retry } = body;
  const mine: SQL = leased(id, body.token);
  const failures = error.code === HANDED_BACK ? 0 : 1;
  const level = retry ? ('warn' as const) : ('error' as const);
  const { ended } = await batch(db, {
    events: noteEvents(db, mine, [...body.events, { level, message: error.message }], now),
    ended: endAttempt(db, mine, { error, failures, retry }, now),
  });
  return ended[0]?.status;
}

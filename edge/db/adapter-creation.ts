import { and, eq, inArray, sql } from 'drizzle-orm';
import type { CreateAdapter } from '../../shared/api/adapters.ts';
import type { TrainingAims } from '../../shared/training-aims.ts';
import type { BaseModel } from '../base-models.ts';
import { batch, type Db, statement } from './client.ts';
import { noteEvents } from './job-events.ts';
import { claimObjects } from './objects.ts';
import { hasRoom } from './queue.ts';
import { adapterNames, adapters, files, jobs } from './schema.ts';

/** A dataset that a job reads; `file` is null for inline examples. */
export interface DatasetRef {
  key: string;
  file: string | null;
}

export interface NewAdapter {
  tenant: string;
  jobId: string;
  request: CreateAdapter;
  baseModel: BaseModel;
  training: DatasetRef;
  validation: DatasetRef | null;
}

/**
 * Gives the name its next version and queues the job that trains it, in one transaction, provided that the datasets
 * are still there and fewer than `maxQueued` jobs of the tenant wait. Returns the version; undefined where a file has
 * been deleted meanwhile, or the queue has become full.
 */
export async function createAdapter(
  db: Db,
  adapter: NewAdapter,
  maxQueued: number,
  now: number,
): Promise<number | undefined> {
  const { tenant, jobId, request, baseModel, training, validation } = adapter;
  const { name, method, hyperparameters, effort, metric, seed, metadata } = request;
  const aims: TrainingAims = { effort, metric };
  const version = sql<number>`(SELECT last_version FROM ${adapterNames} WHERE tenant = ${tenant} AND name = ${name})`;
  const isQueued = sql`EXISTS (SELECT 1 FROM ${jobs} WHERE id = ${jobId})`;
  const common = sql`${tenant}, ${name}, ${version}, ${baseModel.id}, ${baseModel.sha256}, ${JSON.stringify(method)},
    ${JSON.stringify(hyperparameters)}, ${seed}, ${now}`;
  const datasets = [training, validation].filter((dataset) => dataset !== null);
  const given = datasets.flatMap(({ file }) => (file === null ? [] : [file]));
  const allThere = sql`(SELECT count(*) FROM ${files} WHERE tenant = ${tenant} AND id IN
    (SELECT value FROM json_each(${JSON.stringify(given)}))) = ${new Set(given).size}`;
  const allowed = sql`${allThere} AND ${hasRoom(tenant, maxQueued)}`;
  const { adapter: created } = await batch(db, {
    name: statement(
      db,
      sql`INSERT INTO ${adapterNames} (tenant, name, last_version) SELECT ${tenant}, ${name}, 1 WHERE ${allowed}
      ON CONFLICT (tenant, name) DO UPDATE SET last_version = last_version + 1`,
    ),
    job: statement(
      db,
      sql`INSERT INTO ${jobs} (tenant, adapter_name, adapter_version, base_model, base_model_sha256, method,
        hyperparameters, seed, created_at, id, metadata, training_file, training_key, validation_file, validation_key,
        validation_split, aims)
      SELECT ${common}, ${jobId}, ${JSON.stringify(metadata)}, ${training.file}, ${training.key}, ${validation?.file ?? null},
        ${validation?.key ?? null}, ${JSON.stringify(request.validation_split)}, ${JSON.stringify(aims)}
      WHERE ${allowed}`,
    ),
    adapter: statement<{ version: number }>(
      db,
      sql`INSERT INTO ${adapters} (tenant, name, version, base_model, base_model_sha256,
        method, hyperparameters, seed, created_at, job_id, metadata)
      SELECT ${common}, ${jobId}, ${JSON.stringify(metadata)} WHERE ${isQueued}
      RETURNING version`,
    ),
    examples: training.file === null ? claimObjects(db, [training.key]) : undefined,
    event: noteEvents(db, eq(jobs.id, jobId), [{ level: 'info', message: 'The job is queued.' }], now),
  });
  return created[0]?.version;
}

/** The tenant's files of these ids, with the columns that training needs. */
export async function findDatasets(db: Db, tenant: string, ids: string[]) {
  return db
    .select({ id: files.id, key: files.objectKey, purpose: files.purpose, labels: files.labels })
    .from(files)
    .where(and(eq(files.tenant, tenant), inArray(files.id, ids)));
}

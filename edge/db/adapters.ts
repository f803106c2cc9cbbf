import { and, desc, eq, getTableColumns, isNotNull, isNull, type SQL, sql } from 'drizzle-orm';
import { WEIGHTS_FILES } from '../../shared/adapter-format.ts';
import type { Adapter } from '../../shared/api/adapters.ts';
import { parseAdapterRef } from '../../shared/api/common.ts';
import { ADAPTER_STATUS_OF_JOB, type AdapterStatus, JOB_STATUSES } from '../../shared/job-state.ts';
import { MAX_STORED_MATRIX_BYTES } from '../../shared/label-limits.ts';
import { type PackedMetrics, unpackMetrics } from '../../shared/packed-metrics.ts';
import { aliased } from './aliases.ts';
import { head } from './changes.ts';
import type { Db } from './client.ts';
import { listedJobs } from './jobs.ts';
import { isAbridged, unlessLong } from './listed.ts';
import { beyond, byAge, type Paging } from './paging.ts';
import { adapters, changes, jobs } from './schema.ts';
import { placeOf } from './vacancies.ts';

/** An adapter and what is shown of its job; `job` is null for an imported adapter. */
export interface AdapterRow {
  adapter: typeof adapters.$inferSelect;
  job: typeof jobs.$inferSelect | null;
  /** True where a list has left something out. */
  abridged?: boolean | null;
}

/** The columns that a list shows: long lists of labels and their metrics are left out. */
const listedAdapters = {
  ...getTableColumns(adapters),
  labels: unlessLong(adapters.labels, sql`NULL`),
  hyperparameters: unlessLong(adapters.hyperparameters, sql`NULL`),
  metrics: unlessLong(
    adapters.metrics,
    sql`json_set(${adapters.metrics}, '$.validation.per_label', json('{}'), '$.validation.confusion_matrix', json('[]'))`,
  ),
};
const abridged = isAbridged(adapters.labels, adapters.hyperparameters, adapters.metrics, jobs.resolved);

/** The tenant's adapter that `ref` names: a version; for a bare name the highest ready version, or else the highest. */
export async function findAdapter(db: Db, tenant: string, ref: string): Promise<AdapterRow | undefined> {
  const rows = await db
    .select({ adapter: adapters, job: jobs })
    .from(adapters)
    .leftJoin(jobs, eq(jobs.id, adapters.jobId))
    .where(matching(tenant, ref))
    .orderBy(sql`${adapters.bundle} IS NULL`, desc(adapters.version))
    .limit(1);
  return rows[0];
}

/** Matches one version, also by an alias, or all versions of a bare name. */
export function matching(tenant: string, ref: string): SQL {
  const { name, version, alias } = parseAdapterRef(ref);
  const one = alias === undefined ? version : aliased(sql`${tenant}`, sql`${name}`, sql`${alias}`);
  const ofVersion = one === undefined ? undefined : eq(adapters.version, one);
  return and(eq(adapters.tenant, tenant), eq(adapters.name, name), ofVersion)!;
}

export interface AdapterFilter extends Paging {
  status: AdapterStatus | undefined;
  name: string | undefined;
}

/** A page of adapters, with one row more where the list goes on. Returns undefined where `after` is no adapter. */
export async function pageOfAdapters(
  db: Db,
  tenant: string,
  { after, limit, order, status, name }: AdapterFilter,
): Promise<AdapterRow[] | undefined> {
  let rest: SQL | undefined;
  if (after !== undefined) {
    const standing = sql`SELECT seq FROM ${adapters} WHERE ${matching(tenant, after)}`;
    const last = await placeOf(db, tenant, after, standing);
    if (last === undefined) return undefined;
    rest = beyond(adapters.seq, last, order);
  }
  return db
    .select({ adapter: listedAdapters, job: listedJobs, abridged })
    .from(adapters)
    .leftJoin(jobs, eq(jobs.id, adapters.jobId))
    .where(
      and(
        eq(adapters.tenant, tenant),
        name === undefined ? undefined : eq(adapters.name, name),
        status === undefined ? undefined : inStatus(status),
        rest,
      ),
    )
    .orderBy(byAge(adapters.seq, order))
    .limit(limit + 1);
}

function inStatus(status: AdapterStatus): SQL {
  if (status === 'ready') return isNotNull(adapters.bundle);
  const jobStatus = JOB_STATUSES.find((state) => ADAPTER_STATUS_OF_JOB[state] === status)!;
  return and(isNull(adapters.bundle), eq(jobs.status, jobStatus))!;
}

/** A ready adapter with the fields that a classification needs. */
export interface ServableAdapter {
  ref: string;
  name: string;
  version: number;
  bundle: string;
  baseModel: string;
  baseModelSha256: string;
  basePrecision: string;
  /** The newest change of any name at the time of reading. */
  asOf: number;
}

/** A resolved reference. `settled` 0 means that its name is about to change: use it for this request only. */
export type Resolution = ServableAdapter & { settled: 0 | 1 };

/** The ready adapters that `refs` name, in one indexed statement. References that are unknown or not ready are left out. */
export async function findServable(db: Db, tenant: string, refs: string[]): Promise<Resolution[]> {
  const wanted = JSON.stringify(refs.map((ref) => ({ ref, ...parseAdapterRef(ref) })));
  return db.all(sql`
    SELECT r.value ->> 'ref' AS ref, a.name, a.version, a.bundle, ${head} AS asOf,
      NOT EXISTS (SELECT 1 FROM ${changes} AS c
        WHERE c.tenant = ${tenant} AND c.name = r.value ->> 'name' AND c.pending = 1) AS settled,
      a.base_model AS baseModel, a.base_model_sha256 AS baseModelSha256,
      a.method ->> 'base_precision' AS basePrecision
    FROM json_each(${wanted}) AS r
    -- CROSS keeps the order of the tables: the planner would rather walk all of the tenant's adapters.
    CROSS JOIN ${adapters} AS a ON a.tenant = ${tenant} AND a.name = r.value ->> 'name'
      AND a.version = CASE
        WHEN r.value ->> 'version' IS NOT NULL THEN r.value ->> 'version'
        WHEN r.value ->> 'alias' IS NOT NULL THEN ${aliased(sql`${tenant}`, sql`r.value ->> 'name'`, sql`r.value ->> 'alias'`)}
        ELSE (SELECT b.version FROM ${adapters} AS b
          WHERE b.tenant = ${tenant} AND b.name = r.value ->> 'name' AND b.bundle IS NOT NULL
          ORDER BY b.version DESC LIMIT 1) END
    WHERE a.bundle IS NOT NULL`);
}

/** The newest ready adapters of a tenant, at most `limit`, with what a list of models shows of them. */
export async function readyAdapters(db: Db, tenant: string, limit: number) {
  const { name, version, baseModel, readyAt } = adapters;
  return db
    .select({ name, version, baseModel, readyAt })
    .from(adapters)
    .where(and(eq(adapters.tenant, tenant), isNotNull(adapters.bundle)))
    .orderBy(desc(adapters.seq))
    .limit(limit);
}

/** A bundle's manifest, and the prefix under which its files lie, whoever's it is: nodes ask by content. */
export async function findBundle(db: Db, bundle: string) {
  const rows = await db
    .select({ manifest: adapters.manifest, prefix: adapters.prefix })
    .from(adapters)
    .where(eq(adapters.bundle, bundle))
    .limit(1);
  const { manifest, prefix } = rows[0] ?? {};
  return manifest && prefix ? { manifest, prefix } : undefined;
}

/** Leaves out a confusion matrix that would not fit into a row; the bundle's `weft.json` has it. */
export function storable(metrics: PackedMetrics): PackedMetrics {
  const isLarge = JSON.stringify(metrics.confusion_matrix).length > MAX_STORED_MATRIX_BYTES;
  return isLarge ? { ...metrics, confusion_matrix: [] } : metrics;
}

/** The adapter as the API shows it. */
export function viewAdapter({ adapter, job, abridged }: AdapterRow): Adapter {
  const status = adapter.bundle === null && job ? ADAPTER_STATUS_OF_JOB[job.status] : 'ready';
  const method = job?.resolved?.method ?? adapter.method;
  const weights = adapter.manifest?.filter(({ name }) => WEIGHTS_FILES.has(name));
  return {
    object: 'adapter',
    id: `${adapter.name}@${adapter.version}`,
    name: adapter.name,
    version: adapter.version,
    status,
    base_model: adapter.baseModel,
    base_precision: method.base_precision,
    method,
    hyperparameters: job?.resolved?.hyperparameters ?? adapter.hyperparameters,
    labels: adapter.labels ?? job?.resolved?.labels ?? null,
    metrics: adapter.metrics && { validation: unpackMetrics(adapter.metrics.validation) },
    size_bytes: weights?.reduce((sum, { bytes }) => sum + bytes, 0) ?? null,
    trained_parameters: job?.resolved?.trained_parameters ?? null,
    // The file that a method's tensors are in is the first by name.
    sha256: weights?.sort((a, b) => (a.name < b.name ? -1 : 1))[0]?.sha256 ?? null,
    files: adapter.manifest?.toSorted((a, b) => (a.name < b.name ? -1 : 1)) ?? null,
    job_id: adapter.jobId,
    seed: adapter.seed,
    metadata: adapter.metadata,
    created_at: adapter.createdAt,
    ready_at: adapter.readyAt,
    error: job?.error ?? null,
    ...(abridged && { abridged }),
  };
}

import { and, eq, type SQL, sql } from 'drizzle-orm';
import type { Db } from './client.ts';
import type { JobRow } from './jobs.ts';
import { jobs, nodeBaseModels } from './schema.ts';

/** Seconds for which past training counts against a tenant. */
const RECENT_SECONDS = 3600;
/** Number of a tenant's newest attempts whose mean predicts how long its next one runs. */
const TYPICAL_OF = 20;
/** Predicted seconds of an attempt where its tenant has not trained yet. */
export const FIRST_GUESS_SECONDS = 60;

/**
 * The queued jobs that match `among`, in the order in which they are taken: `seq`, `id`, and the `seconds` that each is predicted to run.
 * `among` calls them `j`.
 *
 * The tenant that trained least in the last hour is next, with its oldest job. A job's place is the training time, in seconds, that its
 * tenant will have had by its turn. Running attempts count with their predicted length, so that nodes which are free at once serve
 * different tenants. Nobody starves: after an hour without training a tenant counts zero, and only older jobs of such tenants go before its
 * own.
 */
export function fairQueue(among: SQL, now: number): SQL {
  const since = now - RECENT_SECONDS;
  const ended = sql`${jobs} AS e WHERE e.tenant = waiting.tenant AND e.leased_at IS NOT NULL AND e.finished_at IS NOT NULL`;
  const typical = sql`SELECT waiting.tenant, max(1, coalesce((SELECT avg(newest.seconds) FROM
      (SELECT e.finished_at - e.leased_at AS seconds FROM ${ended} ORDER BY e.finished_at DESC LIMIT ${TYPICAL_OF}) AS newest),
      ${FIRST_GUESS_SECONDS})) AS typical
    FROM (SELECT DISTINCT q.tenant FROM ${jobs} AS q WHERE q.status = 'queued') AS waiting`;
  const given = sql`SELECT waiting.tenant, waiting.typical,
      (SELECT coalesce(sum(e.finished_at - max(e.leased_at, ${since})), 0) FROM ${ended} AND e.finished_at > ${since})
      + (SELECT coalesce(sum(max(waiting.typical, ${now} - max(r.leased_at, ${since}))), 0) FROM ${jobs} AS r
        WHERE r.tenant = waiting.tenant AND r.status = 'running') AS given
    FROM (${typical}) AS waiting`;
  const turn = sql`row_number() OVER (PARTITION BY j.tenant ORDER BY j.seq) - 1`;
  // CROSS JOIN keeps the order of the tables: from a tenant to its jobs.
  return sql`(SELECT j.seq, j.id, s.typical AS seconds FROM (${given}) AS s
    CROSS JOIN ${jobs} AS j ON j.tenant = s.tenant AND j.status = 'queued'
    WHERE ${among} ORDER BY s.given + s.typical * (${turn}), j.seq)`;
}

/** A condition for `fairQueue`: one of these nodes has the job's base model in its precision. */
export function trainableBy(nodeIds: string[]): SQL {
  // Later attempts keep the precision that an earlier one chose for "auto".
  const precision = sql`coalesce(j.resolved ->> '$.method.base_precision', j.method ->> 'base_precision')`;
  return sql`EXISTS (SELECT 1 FROM json_each(${JSON.stringify(nodeIds)}) AS n JOIN ${nodeBaseModels} AS m
      ON m.node_id = n.value AND m.base_model = j.base_model
    WHERE m.sha256 = j.base_model_sha256
      AND (${precision} = 'auto' OR ${precision} IN (SELECT value FROM json_each(m.precisions))))`;
}

/** A condition for `fairQueue`: the job is for this base model, whether or not a node has it. */
export function waitingFor(baseModel: string): SQL {
  return sql`j.base_model = ${baseModel}`;
}

/** A queued job's place: how many jobs are taken up to and including it, and the Unix second when a node may take it. */
export interface QueuePlace {
  position: number;
  estimatedStart: number;
}

export interface WaitingJob {
  id: string;
  /** Seconds that the job is predicted to run. */
  seconds: number;
}

/** The queued jobs that match `among`, the next first. */
export async function readQueue(db: Db, among: SQL, now: number): Promise<WaitingJob[]> {
  return db.all<WaitingJob>(sql`SELECT id, seconds FROM ${fairQueue(among, now)}`);
}

/** The jobs that the nodes train: each with its node's id, its start and the seconds left as the node says. */
export async function readRunning(db: Db, nodeIds: string[]) {
  return db
    .select({
      nodeId: jobs.nodeId,
      leasedAt: jobs.leasedAt,
      left: sql<number | null>`${jobs.progress} ->> '$.eta_seconds'`,
    })
    .from(jobs)
    .where(
      sql`${jobs.status} = 'running' AND ${jobs.nodeId} IN (SELECT value FROM json_each(${JSON.stringify(nodeIds)}))`,
    );
}

/** A tenant's queued jobs, oldest first. */
export async function queuedJobs(db: Db, tenant: string): Promise<JobRow[]> {
  return db
    .select()
    .from(jobs)
    .where(and(eq(jobs.tenant, tenant), sql`${jobs.status} = 'queued'`))
    .orderBy(jobs.seq);
}

export async function countQueued(db: Db, tenant: string): Promise<number> {
  return db.$count(jobs, and(eq(jobs.tenant, tenant), sql`${jobs.status} = 'queued'`));
}

/** The guard of a statement that queues a job: the tenant has room for one more. 0 is without a limit. */
export function hasRoom(tenant: string, maxQueued: number): SQL {
  if (maxQueued === 0) return sql`1`;
  return sql`(SELECT count(*) FROM ${jobs} WHERE tenant = ${tenant} AND status = 'queued') < ${maxQueued}`;
}

import { and, eq, type SQL, sql } from 'drizzle-orm';
import type { Db } from './client.ts';
import type { JobRow } from './jobs.ts';
import { jobs, nodeBaseModels } from './schema.ts';

/** How far back training counts against a tenant. */
const RECENT_SECONDS = 3600;
/** A tenant's newest attempts, whose mean is how long its next one is taken to run. */
const TYPICAL_OF = 20;
/** What an attempt is taken to run where its tenant has not trained yet. */
export const FIRST_GUESS_SECONDS = 60;

/**
 * The queued jobs that match `among`, which calls them `j`, in the order in which they are taken: `seq`, `id`, and the
 * `seconds` that each is taken to run.
 *
 * A tenant that was trained least in the last hour is next, and within it the oldest job: a job's place is what its
 * tenant will have been given by its turn, in seconds of training. Attempts that run count as long as they will typically
 * be, so that nodes which are free at once serve different tenants. Nobody starves: after an hour without training a
 * tenant has been given nothing, and only older jobs of such tenants go before its own.
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
  // CROSS keeps the order of the tables: from a tenant to its jobs.
  return sql`(SELECT j.seq, j.id, s.typical AS seconds FROM (${given}) AS s
    CROSS JOIN ${jobs} AS j ON j.tenant = s.tenant AND j.status = 'queued'
    WHERE ${among} ORDER BY s.given + s.typical * (${turn}), j.seq)`;
}

/** For `fairQueue`: the jobs that one of these nodes has the base model for, in their precision. */
export function trainableBy(nodeIds: string[]): SQL {
  // What an earlier attempt made of "auto" binds the later ones.
  const precision = sql`coalesce(j.resolved ->> '$.method.base_precision', j.method ->> 'base_precision')`;
  return sql`EXISTS (SELECT 1 FROM json_each(${JSON.stringify(nodeIds)}) AS n JOIN ${nodeBaseModels} AS m
      ON m.node_id = n.value AND m.base_model = j.base_model
    WHERE m.sha256 = j.base_model_sha256
      AND (${precision} = 'auto' OR ${precision} IN (SELECT value FROM json_each(m.precisions))))`;
}

/** For `fairQueue`: the jobs for a base model, whether or not a node has it. */
export function waitingFor(baseModel: string): SQL {
  return sql`j.base_model = ${baseModel}`;
}

/** Where a queued job stands: how many are taken up to it, itself included, and the Unix second when a node may take it. */
export interface QueuePlace {
  position: number;
  estimatedStart: number;
}

export interface WaitingJob {
  id: string;
  /** How long it is taken to run. */
  seconds: number;
}

/** The queued jobs that match `among`, the next first. */
export async function readQueue(db: Db, among: SQL, now: number): Promise<WaitingJob[]> {
  return db.all<WaitingJob>(sql`SELECT id, seconds FROM ${fairQueue(among, now)}`);
}

/** What the nodes train, each with the node's id, when it began and how many seconds it says are left. */
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

/** A tenant's queued jobs, the oldest first. */
export async function queuedJobs(db: Db, tenant: string): Promise<JobRow[]> {
  return db
    .select()
    .from(jobs)
    .where(and(eq(jobs.tenant, tenant), sql`${jobs.status} = 'queued'`))
    .orderBy(jobs.seq);
}

/** The guard of a statement that queues a job: the tenant has room for one more. */
export function hasRoom(tenant: string, maxQueued: number): SQL {
  return sql`(SELECT count(*) FROM ${jobs} WHERE tenant = ${tenant} AND status = 'queued') < ${maxQueued}`;
}

import { and, eq, gt, type SQL, sql } from 'drizzle-orm';
import { type FleetJob, type FleetNode, MAX_FLEET_JOBS } from '../../shared/api/fleet.ts';
import { NODE_TTL_SECONDS } from '../../shared/job-state.ts';
import type { BasePrecision } from '../../shared/peft-config.ts';
import { batch, type Db } from './client.ts';
import { jobs, nodeBaseModels, nodes } from './schema.ts';

/** The nodes that are up, with their load, in the order of their ids. */
export async function fleetNodes(db: Db, now: number): Promise<FleetNode[]> {
  const rows = await db
    .select({
      node: nodes,
      baseModel: nodeBaseModels.baseModel,
      precisions: nodeBaseModels.precisions,
    })
    .from(nodes)
    .innerJoin(nodeBaseModels, eq(nodeBaseModels.nodeId, nodes.id))
    .where(gt(nodes.lastSeen, now - NODE_TTL_SECONDS))
    .orderBy(nodes.id, nodeBaseModels.position);
  const byId = new Map<string, FleetNode>();
  for (const { node, baseModel, precisions } of rows) {
    const { id, device, version, slots, registeredAt, lastSeen, load } = node;
    const times = { registered_at: registeredAt, last_seen: lastSeen };
    const shown = byId.get(id) ?? { id, device, version, slots, ...times, base_models: [], load };
    shown.base_models.push({ id: baseModel, precisions: precisions as BasePrecision[] });
    byId.set(id, shown);
  }
  return [...byId.values()];
}

/** The jobs that run and wait, of one tenant or for an operator of all, and how many there are. */
export async function openJobs(db: Db, tenant: string | undefined) {
  // The conditions are written out, so that the partial indexes of queued and of running jobs serve them.
  const running = ofTenant(sql`${jobs.status} = 'running'`, tenant);
  const queued = ofTenant(sql`${jobs.status} = 'queued'`, tenant);
  const count = (which: SQL) => db.select({ jobs: sql<number>`count(*)` }).from(jobs).where(which);
  const first = (which: SQL) =>
    db.select(shown).from(jobs).where(which).orderBy(jobs.seq).limit(MAX_FLEET_JOBS);
  const answer = await batch(db, {
    runningCount: count(running),
    queuedCount: count(queued),
    running: first(running),
    queued: first(queued),
  });
  return {
    queue: { waiting: answer.queuedCount[0]!.jobs, running: answer.runningCount[0]!.jobs },
    jobs: [...answer.running, ...answer.queued]
      .slice(0, MAX_FLEET_JOBS)
      .map((job) => viewFleetJob(job, tenant === undefined)),
  };
}

const shown = {
  id: jobs.id,
  tenant: jobs.tenant,
  adapterName: jobs.adapterName,
  adapterVersion: jobs.adapterVersion,
  baseModel: jobs.baseModel,
  status: jobs.status,
  nodeId: jobs.nodeId,
  progress: jobs.progress,
  createdAt: jobs.createdAt,
};

function ofTenant(which: SQL, tenant: string | undefined): SQL {
  return tenant === undefined ? which : and(which, eq(jobs.tenant, tenant))!;
}

type ShownJob = Pick<typeof jobs.$inferSelect, keyof typeof shown>;

function viewFleetJob(job: ShownJob, isOperator: boolean): FleetJob {
  return {
    id: job.id,
    tenant: isOperator ? job.tenant : null,
    adapter: `${job.adapterName}@${job.adapterVersion}`,
    base_model: job.baseModel,
    status: job.status,
    node: isOperator && job.status === 'running' ? job.nodeId : null,
    progress: job.progress,
    created_at: job.createdAt,
  };
}

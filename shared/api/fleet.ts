import { z } from 'zod';
import { jobStatus } from '../job-state.ts';
import { basePrecision } from '../peft-config.ts';
import { adapterRef, jobId, nodeId, unixSeconds } from './common.ts';
import { progress } from './jobs.ts';
import { keyRole } from './keys.ts';
import { nodeLoad } from './nodes.ts';

/** Most jobs that a fleet shows, those that run first. */
export const MAX_FLEET_JOBS = 100;

/** A node that is up, as an operator sees it. */
export const fleetNode = z.object({
  id: nodeId,
  device: z.string(),
  version: z.string(),
  slots: z.int(),
  registered_at: unixSeconds,
  last_seen: unixSeconds,
  base_models: z.array(z.object({ id: z.string(), precisions: z.array(basePrecision) })),
  /** As of its last heartbeats; null for a node of an earlier version. */
  load: nodeLoad.nullable(),
});
export type FleetNode = z.infer<typeof fleetNode>;

/** A job that waits or runs. */
export const fleetJob = z.object({
  id: jobId,
  /** Null unless an operator asks. */
  tenant: z.string().nullable(),
  adapter: adapterRef,
  base_model: z.string(),
  status: jobStatus,
  /** The node that trains it; null unless an operator asks, and while it waits. */
  node: nodeId.nullable(),
  progress: progress.nullable(),
  created_at: unixSeconds,
});
export type FleetJob = z.infer<typeof fleetJob>;

/** `GET /v1/fleet`: to an operator's key every node and job; to a tenant's its own jobs, and nothing of others. */
export const fleet = z.object({
  object: z.literal('fleet'),
  /** Of the key that asks. */
  role: keyRole.nullable(),
  /** The nodes that are up; null unless an operator asks. */
  nodes: z.array(fleetNode).nullable(),
  /** Jobs that wait and run: all, or the tenant's own. */
  queue: z.object({ waiting: z.int(), running: z.int() }),
  jobs: z.array(fleetJob),
});
export type Fleet = z.infer<typeof fleet>;

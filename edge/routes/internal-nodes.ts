import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import {
  heartbeat,
  heartbeatResponse,
  type JobLease,
  registerNode,
  registerNodeResponse,
} from '../../shared/api/nodes.ts';
import type { TaskLease } from '../../shared/api/tasks.ts';
import { AppError } from '../../shared/errors.ts';
import { HEARTBEAT_SECONDS, LEASE_SECONDS } from '../../shared/job-state.ts';
import { MAX_HEARTBEAT_BYTES } from '../../shared/label-limits.ts';
import { unixNow } from '../clock.ts';
import type { JobRow } from '../db/jobs.ts';
import { beat } from '../db/leases.ts';
import { leaveNode, saveNode } from '../db/nodes.ts';
import { leasedModels, type TaskRow } from '../db/tasks.ts';
import { randomHex } from '../hashing.ts';
import type { AppEnv } from '../http/app-env.ts';
import { json, jsonRequest } from '../http/responses.ts';
import { jsonBody } from '../middleware/json-body.ts';
import { isolate } from '../nodes/isolate.ts';

const register = createRoute({
  method: 'post',
  path: '/internal/nodes',
  hide: true,
  middleware: jsonBody(),
  request: { body: jsonRequest(registerNode) },
  responses: { 200: json('Registered', registerNodeResponse) },
});

const beatRoute = createRoute({
  method: 'post',
  path: '/internal/nodes/{id}/heartbeat',
  hide: true,
  middleware: jsonBody(MAX_HEARTBEAT_BYTES),
  request: { params: z.object({ id: z.string() }), body: jsonRequest(heartbeat) },
  responses: { 200: json('What the node is to do', heartbeatResponse) },
});

const leave = createRoute({
  method: 'post',
  path: '/internal/nodes/{id}/leave',
  hide: true,
  request: { params: z.object({ id: z.string() }) },
  responses: { 204: { description: 'Nobody waits for the node' } },
});

export const internalNodes = new OpenAPIHono<AppEnv>()
  .openapi(register, async (c) => {
    const node = c.req.valid('json');
    const serving = await saveNode(c.get('db'), node, unixNow());
    isolate.nodes.clear();
    return c.json({ id: node.id, heartbeat_seconds: HEARTBEAT_SECONDS, serving }, 200);
  })
  .openapi(leave, async (c) => {
    await leaveNode(c.get('db'), c.req.valid('param').id, unixNow());
    isolate.nodes.clear();
    return c.body(null, 204);
  })
  .openapi(beatRoute, async (c) => {
    const { id } = c.req.valid('param');
    const body = c.req.valid('json');
    // The token is made here, so that the statement which takes the job needs no second one to learn it.
    const answer = await beat(c.get('db'), id, body, randomHex(16), unixNow());
    const { known, states, lease, taskStates, taskLease, deleted, serving } = answer;
    if (!known) throw new AppError('node_not_found', `Node ${id} is not registered; register it again.`);
    const deletionsCursor = deleted.at(-1)?.seq ?? body.deletions_after;
    return c.json(
      {
        jobs: states,
        lease: lease ? viewLease(lease) : null,
        tasks: taskStates,
        task_lease: taskLease ? viewTaskLease(taskLease) : null,
        deleted_bundles: deleted.map((row) => row.bundle),
        deletions_cursor: deletionsCursor,
        serving,
      },
      200,
    );
  });

function viewLease(job: JobRow): JobLease {
  const { checkpoint } = job;
  return {
    job_id: job.id,
    token: job.leaseToken!,
    attempt: job.attempt,
    adapter: `${job.adapterName}@${job.adapterVersion}`,
    base_model: job.baseModel,
    base_model_sha256: job.baseModelSha256,
    method: job.method,
    hyperparameters: job.hyperparameters,
    resolved: job.resolved,
    validation_split: job.validationSplit,
    aims: job.aims,
    has_validation_file: job.validationKey !== null,
    seed: job.seed,
    lease_seconds: LEASE_SECONDS,
    checkpoint: checkpoint && { attempt: checkpoint.attempt, sha256: checkpoint.sha256 },
  };
}

function viewTaskLease(task: TaskRow): TaskLease {
  return {
    task_id: task.id,
    token: task.leaseToken!,
    kind: task.kind,
    attempt: task.attempt,
    tenant: task.tenant,
    models: leasedModels(task.models),
    parts: task.parts,
    part_rows: task.partRows,
    lease_seconds: LEASE_SECONDS,
  };
}

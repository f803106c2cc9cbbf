import { z } from 'zod';
import { bundleManifest, sha256Hex } from '../adapter-format.ts';
import { FAMILY_NAMES } from '../families.ts';
import { MAX_EVENT_CHARS, MAX_EVENTS_PER_CALL } from '../label-limits.ts';
import { validationMetrics } from '../metrics.ts';
import {
  basePrecision,
  hyperparameters,
  hyperparametersRequest,
  peftConfig,
  peftRequest,
  pooling,
} from '../peft-config.ts';
import { trainingAims } from '../training-aims.ts';
import { adapterName, adapterRef, jobId, nodeId } from './common.ts';
import { MAX_INPUTS } from './inference.ts';
import { eventLevel, jobError, progress } from './jobs.ts';
import { label, MAX_LABELS } from './rows.ts';
import { runningTask, taskId, taskLease } from './tasks.ts';

/** Header that carries a lease's token on the calls that act on a job. */
export const LEASE_TOKEN_HEADER = 'x-lease-token';

export const leaseToken = z.string().regex(/^[0-9a-f]{32}$/);

/** A base model that a node has; `sha256` is that of its `model.safetensors`. */
export const nodeBaseModel = z.strictObject({
  id: z.string().min(1).max(128),
  sha256: sha256Hex,
  precisions: z.array(basePrecision).min(1),
  /** The family whose modules the model's adapters name. */
  family: z.enum(FAMILY_NAMES),
  hidden_size: z.int().positive(),
  num_layers: z.int().positive(),
  max_length: z.int().positive(),
  /** Width within a feed-forward network, and the poolings that the weights allow; nodes of an earlier version leave both out. */
  intermediate_size: z.int().positive().optional(),
  poolings: z.array(pooling).min(1).optional(),
  /** Of all its weights in fp32, without a pooler; nodes of an earlier version leave it out. */
  weights_bytes: z.int().positive().optional(),
  /** The model's name in `adapter_config.json`, e.g. a hub repository. Imports are matched by it. */
  peft_name: z.string().min(1).max(512).optional(),
});

/** `POST /internal/nodes`, idempotent by `id`: a node keeps its id across restarts. The first base model is the node's default. */
export const registerNode = z.strictObject({
  id: nodeId,
  url: z.url({ protocol: /^https?$/ }),
  device: z.enum(['cpu', 'webgpu', 'cuda']),
  base_models: z.array(nodeBaseModel).min(1).max(16),
  slots: z.int().positive(),
  version: z.string().max(64),
});
export type RegisterNode = z.infer<typeof registerNode>;

/** The tenant that owns an adapter's name; opaque to a node. */
const tenant = z.string().min(1).max(64);

/** A tenant's name that resolves anew since change `seq`: nodes refuse older resolutions of it. */
export const nameChange = z.strictObject({ tenant, name: adapterName, seq: z.int().positive() });
export type NameChange = z.infer<typeof nameChange>;
/** Most changes in one answer or call. A node that lacks more refuses everything resolved before `head`. */
export const MAX_NAME_CHANGES = 1000;

/** The right to answer classifications: a lease that counts from when the node sent its call, and the changes it must know. */
export const servingState = z.object({
  lease_seconds: z.number().positive(),
  /** Number of the newest change. */
  head: z.int().nonnegative(),
  /** Changes since the node's cursor; null where the node has no cursor or one that is too old. */
  changes: z.array(nameChange).max(MAX_NAME_CHANGES).nullable(),
});
export type ServingState = z.infer<typeof servingState>;

export const registerNodeResponse = z.object({
  id: nodeId,
  heartbeat_seconds: z.number().positive(),
  serving: servingState,
});
export type RegisterNodeResponse = z.infer<typeof registerNodeResponse>;

/** A message for a job's events. */
export const nodeEvent = z.strictObject({
  level: eventLevel,
  message: z.string().max(MAX_EVENT_CHARS),
  type: z.enum(['message', 'metrics']).default('message'),
  data: z.record(z.string(), z.unknown()).nullable().default(null),
});

/** Values chosen for `"auto"`. The edge keeps the first it is told and hands it to later attempts. */
export const resolvedTraining = z.strictObject({
  method: peftConfig,
  hyperparameters,
  labels: z.array(label).min(2).max(MAX_LABELS),
  /** How many numbers are trained, the head's among them; what was told before nodes said it lacks this. */
  trained_parameters: z.int().positive().optional(),
});
export type ResolvedTraining = z.infer<typeof resolvedTraining>;

/** Most bytes of a saved training state; a larger one is not kept. */
export const MAX_CHECKPOINT_BYTES = 90 * 1024 * 1024;

/** The newest saved state of a job; `GET /internal/jobs/:id/checkpoint` gives it to the holder of the lease. */
export const leaseCheckpoint = z.object({
  /** The attempt that saved the state. */
  attempt: z.int().positive(),
  sha256: sha256Hex,
});
export type LeaseCheckpoint = z.infer<typeof leaseCheckpoint>;

const runningJob = z.strictObject({
  job_id: jobId,
  token: leaseToken,
  progress: progress.nullable(),
  resolved: resolvedTraining.optional(),
  events: z.array(nodeEvent).max(MAX_EVENTS_PER_CALL).default([]),
});

const perSecond = z.number().nonnegative();
const milliseconds = z.number().nonnegative().nullable();

/** What a node does at the moment: rates and times over the last seconds, null where nothing was asked. */
export const nodeLoad = z.strictObject({
  /** Requests that were answered, and texts. */
  requests_per_second: perSecond,
  texts_per_second: perSecond,
  /** From when a request came until its answer, by the bounds of the node's histogram. */
  p50_ms: milliseconds,
  p99_ms: milliseconds,
  /** Mean share of a batch's tokens that was used, padding included, and mean number of adapters that a batch mixed. */
  batch_fill: z.number().min(0).nullable(),
  batch_adapters: z.number().min(0).nullable(),
  /** Texts that wait. */
  queue: z.int().nonnegative(),
  /** Adapters by the fastest tier that has them ready. */
  resident: z.strictObject({
    slot: z.int().nonnegative(),
    memory: z.int().nonnegative(),
    disk: z.int().nonnegative(),
  }),
});
export type NodeLoad = z.infer<typeof nodeLoad>;

/**
 * `POST /internal/nodes/:id/heartbeat`: liveness, progress that extends leases, the wish for a job, and the cursors into deletions and
 * changes of names. It is one call because each call is billed.
 */
export const heartbeat = z.strictObject({
  jobs: z.array(runningJob).max(8),
  wants_job: z.boolean(),
  /** Nodes of an earlier version leave it out. */
  load: nodeLoad.optional(),
  /** Tasks that the node does, and the wish for one; nodes of an earlier version do none. */
  tasks: z.array(runningTask).max(4).default([]),
  wants_task: z.boolean().default(false),
  /** The cursor of the last answer; 0 at a node's start. */
  deletions_after: z.int().nonnegative(),
  /** The `head` of the last answer; null for a node that knows of no change. */
  changes_after: z.int().nonnegative().nullable().default(null),
});
export type Heartbeat = z.infer<typeof heartbeat>;

/** A job's current attempt, with everything that a node needs to train it. */
export const jobLease = z.object({
  job_id: jobId,
  token: leaseToken,
  attempt: z.int().positive(),
  adapter: adapterRef,
  base_model: z.string(),
  base_model_sha256: sha256Hex,
  method: peftRequest,
  hyperparameters: hyperparametersRequest,
  resolved: resolvedTraining.nullable(),
  validation_split: z.union([z.literal('auto'), z.number()]),
  has_validation_file: z.boolean(),
  aims: trainingAims.default(trainingAims.parse({})),
  seed: z.int(),
  lease_seconds: z.number().positive(),
  /** The saved state that the attempt resumes from; null starts from the beginning. */
  checkpoint: leaseCheckpoint.nullable().default(null),
});
export type JobLease = z.infer<typeof jobLease>;

const leaseState = z.enum(['ok', 'lost', 'cancelled']);
export type LeaseState = z.infer<typeof leaseState>;

export const heartbeatResponse = z.object({
  /** The state of each job sent: `ok` keeps the lease; at `lost` or `cancelled` the node stops at once and uploads nothing. */
  jobs: z.array(z.object({ job_id: jobId, state: leaseState })),
  lease: jobLease.nullable(),
  /** The same of each task sent, and a task to do. */
  tasks: z.array(z.object({ task_id: taskId, state: leaseState })).default([]),
  task_lease: taskLease.nullable().default(null),
  /** Bundles deleted since the cursor; the node drops them from memory and disk. */
  deleted_bundles: z.array(sha256Hex),
  deletions_cursor: z.int().nonnegative(),
  serving: servingState,
});
export type HeartbeatResponse = z.infer<typeof heartbeatResponse>;

/** `POST /internal/jobs/:id/complete`, after the bundle's files are uploaded. It is safe to send twice. */
export const completeJob = z.strictObject({
  token: leaseToken,
  resolved: resolvedTraining,
  manifest: bundleManifest,
  metrics: z.strictObject({ validation: validationMetrics }).nullable(),
  trained_tokens: z.int().nonnegative(),
  events: z.array(nodeEvent).max(MAX_EVENTS_PER_CALL).default([]),
});
export type CompleteJob = z.infer<typeof completeJob>;

/** `POST /internal/jobs/:id/fail`: `retryable` sends it back to the queue while attempts are left. */
export const failJob = z.strictObject({
  token: leaseToken,
  error: jobError,
  retryable: z.boolean(),
  events: z.array(nodeEvent).max(MAX_EVENTS_PER_CALL).default([]),
});
export type FailJob = z.infer<typeof failJob>;

export const bundleManifestResponse = z.object({ bundle: sha256Hex, manifest: bundleManifest });

/** Header by which a request is known in the logs of edge and node, and in a problem's `request_id`. */
export const REQUEST_ID_HEADER = 'x-request-id';

export const requestId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

/**
 * `POST {node.url}/internal/classify`: rows in the caller's order. Each names the bundle that answers it, which fixes the base model and
 * the precision.
 */
export const nodeClassifyRequest = z.strictObject({
  rows: z
    .array(z.strictObject({ bundle: sha256Hex, text: z.string().min(1) }))
    .min(1)
    .max(MAX_INPUTS),
  /** The tenant whose fair share the rows count to; all rows without a tenant count as one's. */
  tenant: tenant.optional(),
  /** The tenant's names that the bundles were resolved from, each with the newest change at that time. */
  names: z
    .array(z.strictObject({ name: adapterName, as_of: z.int().nonnegative() }))
    .max(MAX_INPUTS)
    .optional(),
  /** Milliseconds that the caller will still wait; a duration, because clocks differ. */
  deadline_ms: z.int().min(1).max(60_000).optional(),
});
export type NodeClassifyRequest = z.infer<typeof nodeClassifyRequest>;

/** The answers: `scores` are softmax probabilities in the order of `labels`. `labels` is keyed by bundle, so that rows stay small. */
export const nodeClassifyResponse = z.object({
  labels: z.record(sha256Hex, z.array(z.string())),
  rows: z.array(z.object({ scores: z.array(z.number()), tokens: z.int(), truncated: z.boolean() })),
  /** Milliseconds of waiting for a run, loading adapters, tokenizing (nodes of an earlier version leave it out) and the run itself. */
  timing: z.object({
    queue: z.number(),
    load: z.number(),
    tokenize: z.number().optional(),
    run: z.number(),
  }),
  /** Texts that still wait for an answer on the node. */
  waiting: z.int().nonnegative().optional(),
});
export type NodeClassifyResponse = z.infer<typeof nodeClassifyResponse>;

/** `POST {node.url}/internal/evict`: the node drops these bundles from memory and disk. */
export const evictRequest = z.strictObject({ bundles: z.array(sha256Hex).max(1000) });

/**
 * `POST {node.url}/internal/changes`: the node refuses from now on everything resolved before these changes. Its answer acknowledges them.
 */
export const changesRequest = z.strictObject({ changes: z.array(nameChange).min(1).max(MAX_NAME_CHANGES) });

/** `POST {node.url}/internal/warm`: the node loads these bundles into memory, because somebody will soon ask for them. */
export const warmRequest = z.strictObject({ bundles: z.array(sha256Hex).min(1).max(100) });

/** The 202 answer: the number of bundles, counted from the first, that the node loads or has; it had no room for the rest. */
export const warmResponse = z.object({ accepted: z.int().nonnegative() });

/** `POST {node.url}/internal/export`: the answer is a tar archive, a transformers folder of the adapter and its base model. */
export const exportRequest = z.strictObject({ bundle: sha256Hex });

/** A node's tier of an adapter: ready to run, in memory, or on disk. */
export const adapterTier = z.enum(['slot', 'memory', 'disk']);
export type AdapterTier = z.infer<typeof adapterTier>;
/** `GET {node.url}/internal/adapters/:bundle`: the fastest tier that holds an adapter; null if it must be fetched. */
export const adapterTierResponse = z.object({ tier: adapterTier.nullable() });

/** `GET {node.url}/health`. */
export const nodeHealth = z.object({
  status: z.enum(['ok', 'starting', 'draining']),
  id: nodeId,
  device: z.string(),
  base_models: z.array(z.string()),
  adapters_resident: z.int(),
  training: z.int(),
  queue: z.int(),
});

import { sql } from 'drizzle-orm';
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';
import type { BundleManifest } from '../../shared/adapter-format.ts';
import type { ChangedBy } from '../../shared/api/aliases.ts';
import type { DatasetReport } from '../../shared/api/dataset-report.ts';
import type { Purpose, Skipped } from '../../shared/api/datasets.ts';
import type { JobEvent, Progress } from '../../shared/api/jobs.ts';
import type { KeyRole } from '../../shared/api/keys.ts';
import type { LeaseCheckpoint, NodeLoad, ResolvedTraining } from '../../shared/api/nodes.ts';
import type { TaskKind, TaskModel } from '../../shared/api/tasks.ts';
import type { FamilyName } from '../../shared/families.ts';
import { JOB_STATUSES } from '../../shared/job-state.ts';
import type { PackedMetrics } from '../../shared/packed-metrics.ts';
import type { HyperparametersRequest, PeftConfig, PeftRequest, Pooling } from '../../shared/peft-config.ts';
import type { TrainingAims } from '../../shared/training-aims.ts';

// Times are Unix seconds. `seq` is SQLite's rowid: it orders by creation and needs no index of its own. An index on another column ends
// with it, so a page "newest first" is one walk along that index.

/** Client keys; only the SHA-256 of a key is stored. */
export const apiKeys = sqliteTable(
  'api_keys',
  {
    hash: text().primaryKey(),
    tenant: text().notNull(),
    /** The name that whoever made the key gave it. */
    name: text(),
    createdAt: integer('created_at').notNull(),
    revokedAt: integer('revoked_at'),
    /** Null for a key that does not expire. */
    expiresAt: integer('expires_at'),
    /** Lags by up to `LAST_USE_SECONDS`. */
    lastUsedAt: integer('last_used_at'),
    /** An operator's key sees the whole fleet; null for a tenant's. */
    role: text().$type<KeyRole>(),
  },
  (t) => [index('api_keys_tenant').on(t.tenant)],
);

/** What a tenant may do, where that differs from the edge's settings. Null is as set there, and 0 without a limit. */
export const tenantLimits = sqliteTable('tenant_limits', {
  tenant: text().primaryKey(),
  requestsPerMinute: integer('requests_per_minute'),
  tokensPerMinute: integer('tokens_per_minute'),
  queuedJobs: integer('queued_jobs'),
  storedBytes: integer('stored_bytes'),
});

/** What each tenant with a limit by the minute used in its newest minute, summed over isolates. */
export const usage = sqliteTable('usage', {
  tenant: text().primaryKey(),
  /** Unix minutes. */
  minute: integer().notNull(),
  requests: integer().notNull(),
  tokens: integer().notNull(),
});

/**
 * Every object in R2, recorded before its first byte. The cron deletes objects that nothing has claimed by `expiresAt`: abandoned uploads,
 * files of lost attempts, and whatever a deletion could not remove at once. Null means kept.
 */
export const objects = sqliteTable(
  'objects',
  {
    key: text().primaryKey(),
    /** The id of R2's multipart upload while there is one to abort. */
    uploadId: text('upload_id'),
    /** Null until the upload is complete. */
    bytes: integer(),
    sha256: text(),
    createdAt: integer('created_at').notNull(),
    expiresAt: integer('expires_at'),
  },
  (t) => [index('objects_expiring').on(t.expiresAt).where(sql`expires_at IS NOT NULL`)],
);

/** Files of every purpose. The rows of a dataset lie as JSONL under `objectKey`; other files lie there as they are, and have no examples. */
export const files = sqliteTable(
  'files',
  {
    seq: integer().primaryKey({ autoIncrement: true }),
    id: text().notNull(),
    tenant: text().notNull(),
    filename: text().notNull(),
    purpose: text().$type<Purpose>().notNull().default('fine-tune'),
    /** Size of the file as uploaded; the JSONL has another. */
    bytes: integer().notNull(),
    examples: integer().notNull(),
    labels: text({ mode: 'json' }).$type<Record<string, number>>().notNull(),
    warnings: text({ mode: 'json' }).$type<string[]>().notNull(),
    skipped: text({ mode: 'json' }).$type<Skipped>().notNull().default({ count: 0, lines: [] }),
    /** Null for a file of before there were reports. */
    report: text({ mode: 'json' }).$type<DatasetReport>(),
    /** The object that lists the rows which were left out; null where there were none. */
    errorsKey: text('errors_key'),
    objectKey: text('object_key').notNull(),
    createdAt: integer('created_at').notNull(),
    /** When the cron deletes it; null means that it is kept. */
    expiresAt: integer('expires_at'),
  },
  (t) => [
    uniqueIndex('files_id').on(t.id),
    index('files_tenant').on(t.tenant),
    index('files_expiring').on(t.expiresAt).where(sql`expires_at IS NOT NULL`),
  ],
);

/** The last version given to each name. It survives deletions, so that no version is ever given twice. */
export const adapterNames = sqliteTable(
  'adapter_names',
  {
    tenant: text().notNull(),
    name: text().notNull(),
    lastVersion: integer('last_version').notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenant, t.name] })],
);

/** Adapters. An adapter is ready exactly when it has a `bundle`; before that its state is its job's. */
export const adapters = sqliteTable(
  'adapters',
  {
    seq: integer().primaryKey({ autoIncrement: true }),
    tenant: text().notNull(),
    name: text().notNull(),
    version: integer().notNull(),
    /** Null for an imported adapter. */
    jobId: text('job_id'),
    baseModel: text('base_model').notNull(),
    baseModelSha256: text('base_model_sha256').notNull(),
    method: text({ mode: 'json' }).$type<PeftRequest | PeftConfig>().notNull(),
    /** Null for an imported adapter. */
    hyperparameters: text({ mode: 'json' }).$type<HyperparametersRequest>(),
    seed: integer(),
    metadata: text({ mode: 'json' }).$type<Record<string, string>>().notNull(),
    createdAt: integer('created_at').notNull(),
    /** SHA-256 of the canonical manifest. This and all columns below are null until the adapter is ready. */
    bundle: text(),
    manifest: text({ mode: 'json' }).$type<BundleManifest>(),
    /** R2 prefix of the bundle's files, ending in a slash. */
    prefix: text(),
    labels: text({ mode: 'json' }).$type<string[]>(),
    metrics: text({ mode: 'json' }).$type<{ validation: PackedMetrics }>(),
    readyAt: integer('ready_at'),
  },
  (t) => [
    uniqueIndex('adapters_version').on(t.tenant, t.name, t.version),
    index('adapters_tenant').on(t.tenant),
    index('adapters_bundle').on(t.bundle).where(sql`bundle IS NOT NULL`),
  ],
);

/** The version that each alias names, and the number of the change that made it so. */
export const adapterAliases = sqliteTable(
  'adapter_aliases',
  {
    tenant: text().notNull(),
    name: text().notNull(),
    alias: text().notNull(),
    version: integer().notNull(),
    number: integer().notNull(),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
    updatedBy: text('updated_by', { mode: 'json' }).$type<ChangedBy>().notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenant, t.name, t.alias] })],
);

/**
 * The changes of each alias, numbered from 1. `back` is the number of the change to which a rollback of this one goes back: the changes that
 * are in force are a chain, and a rollback takes its newest link off.
 */
export const aliasChanges = sqliteTable(
  'alias_changes',
  {
    tenant: text().notNull(),
    name: text().notNull(),
    alias: text().notNull(),
    number: integer().notNull(),
    /** The change of the name, in `changes`, by which this one was made. */
    change: integer().notNull(),
    from: integer('from_version'),
    to: integer('to_version'),
    back: integer(),
    isRollback: integer('is_rollback', { mode: 'boolean' }).notNull(),
    by: text({ mode: 'json' }).$type<ChangedBy>().notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenant, t.name, t.alias, t.number] })],
);

/** The key of a saved training state, the attempt that saved it, and its SHA-256. */
export interface JobCheckpoint extends LeaseCheckpoint {
  key: string;
}

/** The adapter that a training goes on from: its id, and its bundle, which never changes. */
export interface ParentAdapter {
  adapter: string;
  bundle: string;
}

/** Training jobs. A lease is `leaseToken` until `leaseUntil`; a node must present the token to act on a running job. */
export const jobs = sqliteTable(
  'jobs',
  {
    seq: integer().primaryKey({ autoIncrement: true }),
    id: text().notNull(),
    tenant: text().notNull(),
    adapterName: text('adapter_name').notNull(),
    adapterVersion: integer('adapter_version').notNull(),
    baseModel: text('base_model').notNull(),
    baseModelSha256: text('base_model_sha256').notNull(),
    /** Null where the examples came inline; `trainingKey` is the dataset's object either way. */
    trainingFile: text('training_file'),
    trainingKey: text('training_key').notNull(),
    validationFile: text('validation_file'),
    validationKey: text('validation_key'),
    validationSplit: text('validation_split', { mode: 'json' }).$type<number | 'auto'>().notNull(),
    aims: text({ mode: 'json' }).$type<TrainingAims>().notNull().default({ effort: 'auto', metric: 'auto' }),
    method: text({ mode: 'json' }).$type<PeftRequest>().notNull(),
    hyperparameters: text({ mode: 'json' }).$type<HyperparametersRequest>().notNull(),
    seed: integer().notNull(),
    metadata: text({ mode: 'json' }).$type<Record<string, string>>().notNull().default({}),
    /** The adapter whose weights training starts from; null starts from the base model. */
    parent: text({ mode: 'json' }).$type<ParentAdapter>(),
    status: text({ enum: JOB_STATUSES }).notNull().default('queued'),
    /** Number of leases so far. It is part of R2 keys, so that a stale node overwrites nothing. */
    attempt: integer().notNull().default(0),
    /** Attempts lost to a lapse or a retryable failure; a job handed back at shutdown loses none. */
    failures: integer().notNull().default(0),
    leaseToken: text('lease_token'),
    leaseUntil: integer('lease_until'),
    nodeId: text('node_id'),
    /** Start of the newest attempt. */
    leasedAt: integer('leased_at'),
    resolved: text({ mode: 'json' }).$type<ResolvedTraining>(),
    progress: text({ mode: 'json' }).$type<Progress>(),
    trainedTokens: integer('trained_tokens'),
    /** The newest saved training state; the next attempt resumes from it. */
    checkpoint: text({ mode: 'json' }).$type<JobCheckpoint>(),
    error: text({ mode: 'json' }).$type<{ code: string; message: string }>(),
    /** The file of metrics by step, once the job has succeeded. */
    resultFile: text('result_file'),
    createdAt: integer('created_at').notNull(),
    startedAt: integer('started_at'),
    finishedAt: integer('finished_at'),
  },
  (t) => [
    uniqueIndex('jobs_id').on(t.id),
    index('jobs_tenant').on(t.tenant),
    index('jobs_queued').on(t.tenant).where(sql`status = 'queued'`),
    index('jobs_paused').on(t.tenant).where(sql`status = 'paused'`),
    index('jobs_running').on(t.tenant).where(sql`status = 'running'`),
    index('jobs_trained')
      .on(t.tenant, t.finishedAt, t.leasedAt)
      .where(sql`leased_at IS NOT NULL AND finished_at IS NOT NULL`),
    index('jobs_training_file').on(t.trainingFile).where(sql`training_file IS NOT NULL`),
    index('jobs_validation_file').on(t.validationFile).where(sql`validation_file IS NOT NULL`),
  ],
);

/** A job's events; `number` counts them from 1 within the job and ends their ids. */
export const jobEvents = sqliteTable(
  'job_events',
  {
    jobId: text('job_id').notNull(),
    number: integer().notNull(),
    createdAt: integer('created_at').notNull(),
    level: text().$type<JobEvent['level']>().notNull(),
    message: text().notNull(),
    type: text().$type<JobEvent['type']>().notNull(),
    data: text({ mode: 'json' }).$type<Record<string, unknown>>(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.number] })],
);

/** An adapter that a task asks, with the base model that its node needs. */
export interface ResolvedTaskModel extends TaskModel {
  baseModel: string;
  baseModelSha256: string;
}

/** Work over the rows of a file that nodes do beside live traffic; leased as jobs are. */
export const tasks = sqliteTable(
  'tasks',
  {
    seq: integer().primaryKey({ autoIncrement: true }),
    id: text().notNull(),
    tenant: text().notNull(),
    kind: text().$type<TaskKind>().notNull(),
    file: text().notNull(),
    fileKey: text('file_key').notNull(),
    models: text({ mode: 'json' }).$type<ResolvedTaskModel[]>().notNull(),
    rows: integer().notNull(),
    rowsDone: integer('rows_done').notNull().default(0),
    /** Number of parts that are stored, and the rows that they are of. */
    parts: integer().notNull().default(0),
    partRows: integer('part_rows').notNull().default(0),
    status: text({ enum: JOB_STATUSES }).notNull().default('queued'),
    attempt: integer().notNull().default(0),
    failures: integer().notNull().default(0),
    leaseToken: text('lease_token'),
    leaseUntil: integer('lease_until'),
    nodeId: text('node_id'),
    resultKey: text('result_key'),
    error: text({ mode: 'json' }).$type<{ code: string; message: string }>(),
    createdAt: integer('created_at').notNull(),
    startedAt: integer('started_at'),
    finishedAt: integer('finished_at'),
  },
  (t) => [
    uniqueIndex('tasks_id').on(t.id),
    index('tasks_tenant').on(t.tenant, t.kind),
    index('tasks_queued').on(t.tenant).where(sql`status = 'queued'`),
    index('tasks_running').on(t.tenant).where(sql`status = 'running'`),
    index('tasks_file').on(t.file),
  ],
);

/** What came of a task's rows so far, in R2. Rows are here while their task is unfinished. */
export const taskParts = sqliteTable(
  'task_parts',
  {
    taskId: text('task_id').notNull(),
    number: integer().notNull(),
    key: text().notNull(),
    rows: integer().notNull(),
  },
  (t) => [primaryKey({ columns: [t.taskId, t.number] })],
);

/** Nodes. A node silent for `NODE_TTL_SECONDS` gets no traffic. */
export const nodes = sqliteTable('nodes', {
  id: text().primaryKey(),
  url: text().notNull(),
  device: text().notNull(),
  slots: integer().notNull(),
  version: text().notNull(),
  registeredAt: integer('registered_at').notNull(),
  // This column has no index on purpose: every heartbeat writes it, and there are few nodes.
  lastSeen: integer('last_seen').notNull(),
  /** What the node last said of its load; null where it is of a version that does not. */
  load: text({ mode: 'json' }).$type<NodeLoad>(),
});

/** Base models that a node has; position 0 is its default. */
export const nodeBaseModels = sqliteTable(
  'node_base_models',
  {
    nodeId: text('node_id').notNull(),
    baseModel: text('base_model').notNull(),
    position: integer().notNull(),
    sha256: text().notNull(),
    precisions: text({ mode: 'json' }).$type<string[]>().notNull(),
    family: text().$type<FamilyName>().notNull().default('bert'),
    hiddenSize: integer('hidden_size').notNull(),
    numLayers: integer('num_layers').notNull(),
    maxLength: integer('max_length').notNull(),
    /** Null where the node is of a version that does not report it. */
    intermediateSize: integer('intermediate_size'),
    poolings: text({ mode: 'json' }).$type<Pooling[]>(),
    weightsBytes: integer('weights_bytes'),
    /** `base_model_name_or_path` in adapters' configurations. */
    peftName: text('peft_name'),
  },
  (t) => [primaryKey({ columns: [t.nodeId, t.baseModel] })],
);

/** Places of deleted items in their lists, so that a page after one of them is still found. No id is given twice. */
export const vacancies = sqliteTable(
  'vacancies',
  {
    tenant: text().notNull(),
    id: text().notNull(),
    seq: integer().notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenant, t.id] }), index('vacancies_created').on(t.createdAt)],
);

/** Bundles that nodes must forget; `seq` is the cursor of a node's heartbeat. */
export const deletions = sqliteTable('deletions', {
  seq: integer().primaryKey({ autoIncrement: true }),
  bundle: text().notNull(),
  createdAt: integer('created_at').notNull(),
});

/**
 * Changes of what a tenant's name resolves to. A change is pending until it has been made; meanwhile nobody may cache what its name
 * resolves to. `seq` is the cursor of a node's heartbeat, and dates every resolution.
 */
export const changes = sqliteTable(
  'changes',
  {
    seq: integer().primaryKey({ autoIncrement: true }),
    tenant: text().notNull(),
    name: text().notNull(),
    pending: integer({ mode: 'boolean' }).notNull().default(true),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [index('changes_pending').on(t.tenant, t.name).where(sql`pending = 1`)],
);

/** Answers kept for `Idempotency-Key`. While `status` is null the first request is still running. */
export const idempotency = sqliteTable(
  'idempotency',
  {
    tenant: text().notNull(),
    key: text().notNull(),
    requestHash: text('request_hash').notNull(),
    status: integer(),
    body: text(),
    location: text(),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenant, t.key] }), index('idempotency_created').on(t.createdAt)],
);

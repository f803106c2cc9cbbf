import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { storeResults } from '../../edge/adapters/store-results.ts';
import { createAdapter, type NewAdapter } from '../../edge/db/adapter-creation.ts';
import { deleteAdapters } from '../../edge/db/adapter-deletion.ts';
import {
  findAdapter,
  findBundle,
  findServable,
  pageOfAdapters,
  readyAdapters,
} from '../../edge/db/adapters.ts';
import {
  aliasesOf,
  deleteAlias,
  findAliasesOn,
  pageOfAliasChanges,
  rollBackAlias,
  setAlias,
  versionBefore,
} from '../../edge/db/aliases.ts';
import {
  addKey,
  findKey,
  findKeyById,
  findLimits,
  keysOf,
  noteUse,
  replaceKey,
  revokeKey,
} from '../../edge/db/api-keys.ts';
import { proposeChange, settleAbandoned, settleChange } from '../../edge/db/changes.ts';
import { keepCheckpoint } from '../../edge/db/checkpoints.ts';
import { openDb } from '../../edge/db/client.ts';
import { failAttempt, finishJob } from '../../edge/db/completion.ts';
import { deleteExpiredFiles, deleteFile, pageOfFiles } from '../../edge/db/files.ts';
import { claimKey, keepAnswer, purgeAnswers } from '../../edge/db/idempotency.ts';
import { releaseCheckpoints, releaseInlineDatasets } from '../../edge/db/job-objects.ts';
import { cancelJob, findJob, type JobRow, pageOfJobs } from '../../edge/db/jobs.ts';
import { beat, requeueLapsed } from '../../edge/db/leases.ts';
import { servedBaseModels } from '../../edge/db/nodes.ts';
import { takeExpiredObjects } from '../../edge/db/objects.ts';
import {
  countQueued,
  queuedJobs,
  readQueue,
  readRunning,
  trainableBy,
  waitingFor,
} from '../../edge/db/queue.ts';
import { storedBytes } from '../../edge/db/stored-bytes.ts';
import {
  cancelTask,
  completeTask,
  countTasks,
  createTask,
  deleteTask,
  failTaskAttempt,
  findPart,
  findTask,
  keepPart,
  pageOfTasks,
  requeueLapsedTasks,
} from '../../edge/db/tasks.ts';
import { addUsage } from '../../edge/db/usage.ts';
import { forgetVacancies } from '../../edge/db/vacancies.ts';
import { createAdapter as createRequest } from '../../shared/api/adapters.ts';
import { EXAMPLES } from './support/adapters.ts';
import { RESOLVED } from './support/nodes.ts';

/** Tables that grow with use: a statement that walks one of them whole gets slower every day. */
const GROWING = [
  'adapters',
  'adapter_aliases',
  'adapter_names',
  'alias_changes',
  'api_keys',
  'changes',
  'files',
  'idempotency',
  'job_events',
  'jobs',
  'objects',
  'task_parts',
  'tasks',
  'tenant_limits',
  'usage',
  'vacancies',
];
/** Indexes that hold only what is under way. */
const SMALL = [
  'changes_pending',
  'jobs_paused',
  'jobs_queued',
  'jobs_running',
  'objects_expiring',
  'tasks_queued',
  'tasks_running',
];

/** D1 that remembers the statements it was asked. */
function recorded(statements: Set<string>): D1Database {
  return new Proxy(env.DB, {
    get(database, name) {
      const value = Reflect.get(database, name);
      if (name !== 'prepare') return typeof value === 'function' ? value.bind(database) : value;
      return (sql: string) => {
        statements.add(sql);
        return database.prepare(sql);
      };
    },
  });
}

async function walksOf(sql: string): Promise<string[]> {
  const parameters = Array.from(sql.matchAll(/\?/g), () => null);
  const { results } = await env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`)
    .bind(...parameters)
    .all<{ detail: string }>();
  const isWalk = (detail: string) =>
    GROWING.some((table) => new RegExp(`^SCAN (${table}|[a-z])( |$)`).test(detail)) &&
    !/VIRTUAL TABLE/.test(detail) &&
    !SMALL.some((index) => detail.includes(index));
  return results.map((row) => row.detail).filter(isWalk);
}

const newAdapter: NewAdapter = {
  tenant: 't',
  jobId: 'ftjob_1',
  request: createRequest.parse({ name: 'a', examples: EXAMPLES }),
  baseModel: { id: 'base', sha256: 'a', precisions: [], maxLength: 1 },
  training: { key: 'inline/ftjob_1', file: null },
  validation: null,
};

const ALIAS = { tenant: 't', name: 'a', alias: 'prod' };
const KEY_ID = 'key_0123456789abcdef';
const NEW_KEY = { hash: 'h', tenant: 't', name: 'n', expiresAt: null, role: null };
const MAKING = { change: 1, by: { key: 'key_1', name: null }, now: 1 };

it('walks no growing table in what runs for every request, heartbeat or tick', async () => {
  const statements = new Set<string>();
  const db = openDb(recorded(statements));
  const token = '0'.repeat(32);
  const progress = { step: 1, steps: 2, epoch: 1, loss: 1, tokens_per_second: 1, eta_seconds: 1 };
  const event = { level: 'info' as const, message: 'm', type: 'message' as const, data: null };
  const running = { job_id: 'ftjob_1', token, progress, resolved: RESOLVED, events: [event] };
  const page = { after: undefined, limit: 20, order: 'desc' as const };
  await findKey(db, 'h', 1);
  await findLimits(db, 't');
  await noteUse(db, 'h', 1);
  await keysOf(db, 't', 1);
  await findKeyById(db, 't', KEY_ID, 1);
  await addKey(db, NEW_KEY, 1);
  await replaceKey(db, KEY_ID, NEW_KEY, 1, 1);
  await revokeKey(db, 't', KEY_ID, 1);
  await addUsage(db, 't', 1, { requests: 1, tokens: 1 });
  await countQueued(db, 't');
  await storedBytes(db, 't');
  await findServable(db, 't', ['a', 'b@2', 'c@prod']);
  await findAdapter(db, 't', 'a');
  await findBundle(db, 'b');
  await pageOfAdapters(db, 't', { ...page, status: 'ready', name: 'a' });
  await pageOfAdapters(db, 't', { ...page, status: undefined, name: undefined });
  await pageOfJobs(db, 't', { ...page, metadata: { team: 'mail' } });
  for (const after of ['file_1', 'a@1', 'ftjob_1']) {
    const page = { after, limit: 20, order: 'desc' as const };
    await pageOfFiles(db, 't', { ...page, purpose: 'fine-tune' });
    await pageOfAdapters(db, 't', { ...page, status: undefined, name: undefined });
    await pageOfJobs(db, 't', { ...page, metadata: undefined });
  }
  await aliasesOf(db, 't', 'a');
  await findAliasesOn(db, 't', 'a');
  await pageOfAliasChanges(db, ALIAS, { last: 1, limit: 20, order: 'desc' });
  await setAlias(db, ALIAS, 1, MAKING);
  await rollBackAlias(db, ALIAS, MAKING);
  await versionBefore(db, ALIAS);
  await deleteAlias(db, ALIAS, MAKING);
  await countTasks(db, 't', 'evaluation');
  await createTask(db, { id: 'eval_1', tenant: 't', kind: 'evaluation', file: 'file_1', models: [] }, 1);
  await findTask(db, 't', 'evaluation', 'eval_1');
  await pageOfTasks(db, 't', 'evaluation', { ...page, after: 'eval_1' });
  await keepPart(db, { id: 'eval_1', token }, { number: 0, key: 'k', rows: 1 });
  await findPart(db, 'eval_1', 0);
  await completeTask(db, 'eval_1', token, 'k', 1);
  await failTaskAttempt(db, 'eval_1', { token, retryable: true, error: { code: 'c', message: 'm' } }, 1);
  await requeueLapsedTasks(db, 1);
  await cancelTask(db, 't', 'eval_1', 1);
  await deleteTask(db, 't', 'eval_1', 1);
  await deleteFile(db, 't', 'file_1', 1);
  await deleteExpiredFiles(db, 1);
  await readyAdapters(db, 't', 10);
  await servedBaseModels(db, 1);
  await forgetVacancies(db, 1);
  await findJob(db, 't', 'ftjob_1');
  await beat(
    db,
    'node_1',
    {
      jobs: [running],
      wants_job: true,
      tasks: [{ task_id: 'eval_1', token, rows_done: 1 }],
      wants_task: true,
      deletions_after: 0,
      changes_after: 1,
    },
    token,
    1,
  );
  await readQueue(db, waitingFor('base'), 1);
  await readQueue(db, trainableBy(['node_1']), 1);
  await readRunning(db, ['node_1']);
  await queuedJobs(db, 't');
  await createAdapter(db, newAdapter, 100, 1);
  await requeueLapsed(db, 1);
  await cancelJob(db, 't', 'ftjob_1', 1);
  await failAttempt(
    db,
    'ftjob_1',
    { token, retryable: true, error: { code: 'c', message: 'm' }, events: [] },
    1,
  );
  const manifest = [{ name: 'weft.json' as const, bytes: 1, sha256: 'a' }];
  const completed = { token, resolved: RESOLVED, manifest, metrics: null, trained_tokens: 1, events: [] };
  const results = await storeResults(env, db, { id: 'ftjob_1', tenant: 't' }, []);
  const job = { id: 'ftjob_1', tenant: 't', adapterName: 'a', adapterVersion: 1 } as JobRow;
  await finishJob(db, job, completed, { bundle: 'b', manifest, prefix: 'p/', results }, 1, 1);
  await deleteAdapters(db, 't', 'a', 1, 1);
  const { seq } = await proposeChange(db, 't', 'a', 1);
  await settleChange(db, seq);
  await settleAbandoned(db, 1);
  await keepCheckpoint(db, { id: 'ftjob_1', token }, { key: 'k', attempt: 1, sha256: 'a' }, 1);
  await releaseCheckpoints(db, 'checkpoints/', 1);
  await releaseInlineDatasets(db, 'inline/', 1);
  await takeExpiredObjects(db, 1, 10);
  await claimKey(db, { tenant: 't', key: 'k' }, 'h', 1);
  await keepAnswer(db, { tenant: 't', key: 'k' }, { status: 200, body: '', location: null });
  await purgeAnswers(db, 1);
  expect(statements.size).toBeGreaterThan(20);
  const walks: Record<string, string[]> = {};
  for (const sql of statements) {
    const found = await walksOf(sql);
    if (found.length > 0) walks[sql] = found;
  }
  expect(walks).toEqual({});
});

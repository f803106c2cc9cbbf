import {
  type CreateEvaluation,
  MAX_EVALUATION_ROWS,
  MAX_EVALUATIONS,
  MAX_UNFINISHED_EVALUATIONS,
} from '../../shared/api/evaluations.ts';
import { AppError } from '../../shared/errors.ts';
import { unixNow } from '../clock.ts';
import { findServable } from '../db/adapters.ts';
import type { Db } from '../db/client.ts';
import { findFile } from '../db/files.ts';
import type { ResolvedTaskModel } from '../db/schema.ts';
import { countTasks, createTask } from '../db/tasks.ts';
import { newId } from '../hashing.ts';
import { whyNotServable } from '../inference/resolve-adapters.ts';

/** Seconds after which to try again where too many evaluations wait. */
const RETRY_AFTER_SECONDS = 30;

/** Queues an evaluation of the versions that its models mean now. Returns its id. */
export async function createEvaluation(db: Db, tenant: string, request: CreateEvaluation): Promise<string> {
  const models = await resolveModels(db, tenant, request);
  await requireFile(db, tenant, request.file);
  await requireRoom(db, tenant);
  const id = newId('eval');
  const task = { id, tenant, kind: 'evaluation', file: request.file, models } as const;
  if (!(await createTask(db, task, unixNow()))) throw unknownFile(request.file);
  return id;
}

async function resolveModels(
  db: Db,
  tenant: string,
  { model, models = [model!] }: CreateEvaluation,
): Promise<ResolvedTaskModel[]> {
  const paramOf = (i: number) => (model === undefined ? `models.${i}` : 'model');
  const found = new Map((await findServable(db, tenant, models)).map((each) => [each.ref, each]));
  const resolved: ResolvedTaskModel[] = [];
  for (const [i, named] of models.entries()) {
    const adapter = found.get(named);
    if (!adapter) throw await whyNotServable(db, tenant, named, paramOf(i));
    const { bundle, baseModel, baseModelSha256 } = adapter;
    const ref = `${adapter.name}@${adapter.version}`;
    const before = resolved.findIndex((one) => one.ref === ref);
    if (before >= 0) {
      const message = `${paramOf(i)}: ${named} is ${ref}, as ${paramOf(before)} is.`;
      throw new AppError('invalid_request', message, { param: paramOf(i) });
    }
    resolved.push({ ref, bundle, baseModel, baseModelSha256 });
  }
  return resolved;
}

async function requireFile(db: Db, tenant: string, id: string): Promise<void> {
  const file = await findFile(db, tenant, id);
  if (!file) throw unknownFile(id);
  if (file.examples > 0 && file.examples <= MAX_EVALUATION_ROWS) return;
  const message = `file: ${id} has ${file.examples} labelled rows; an evaluation takes 1 to ${MAX_EVALUATION_ROWS}.`;
  throw new AppError('invalid_request', message, { param: 'file' });
}

function unknownFile(id: string): AppError {
  return new AppError('file_not_found', `There is no file ${id}.`, { param: 'file' });
}

async function requireRoom(db: Db, tenant: string): Promise<void> {
  const { all, unfinished } = await countTasks(db, tenant, 'evaluation');
  if (unfinished >= MAX_UNFINISHED_EVALUATIONS) {
    const message = `${unfinished} of your evaluations have not ended, which is as many as may; wait for one, or cancel one.`;
    throw new AppError('queue_full', message, { retryAfter: RETRY_AFTER_SECONDS });
  }
  if (all < MAX_EVALUATIONS) return;
  const message = `There are ${all} evaluations, which is the most: delete some first (DELETE /v1/evaluations/ID).`;
  throw new AppError('limit_reached', message);
}

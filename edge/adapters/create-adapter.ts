import { ADAPTER_WEIGHTS_FILE, MAX_FILE_BYTES } from '../../shared/adapter-format.ts';
import type { CreateAdapter } from '../../shared/api/adapters.ts';
import { AppError } from '../../shared/errors.ts';
import { formatOf } from '../../shared/methods/index.ts';
import { requireTextRoom } from '../../shared/methods/text-room.ts';
import type { TrainableBase } from '../base-models.ts';
import { unixNow } from '../clock.ts';
import { createAdapter, type DatasetRef, findDatasets } from '../db/adapter-creation.ts';
import { findLimits } from '../db/api-keys.ts';
import type { Db } from '../db/client.ts';
import { findBaseModel, knownBaseModels } from '../db/nodes.ts';
import { queuedJobs } from '../db/queue.ts';
import type { Env } from '../env.ts';
import { newId } from '../hashing.ts';
import { placesOf } from '../jobs/queue-places.ts';
import { inlineKey } from '../objects/object-keys.ts';
import { putBytes } from '../objects/storage.ts';
import { limitsOf } from '../tenant-limits.ts';
import {
  checkClassWeights,
  checkTrainable,
  checkValidation,
  countLabels,
  type LabelCounts,
} from './training-data.ts';

const RETRY_AFTER_SECONDS = 5;

/** Checks a request as far as the edge can, stores inline examples, and queues the job. */
export async function submitAdapter(
  env: Env,
  db: Db,
  tenant: string,
  request: CreateAdapter,
): Promise<{ version: number; jobId: string }> {
  const baseModel = await chooseBaseModel(db, request);
  const { queuedJobs: maxQueued } = limitsOf(env, await findLimits(db, tenant));
  await assertRoom(db, tenant, maxQueued);
  const jobId = newId('ftjob');
  const { training, validation } = await chooseDatasets(db, tenant, request, jobId);
  if (request.examples) {
    const rows = request.examples.map((example) => `${JSON.stringify(example)}\n`);
    await putBytes(env, db, training.key, new TextEncoder().encode(rows.join('')));
  }
  const version = await createAdapter(
    db,
    { tenant, jobId, request, baseModel, training, validation },
    maxQueued,
    unixNow(),
  );
  if (version === undefined) {
    await assertRoom(db, tenant, maxQueued);
    throw new AppError('file_not_found', 'A file of this request was deleted while it ran.', {
      param: 'training_file',
    });
  }
  return { version, jobId };
}

/** @throws {AppError} `queue_full`, with the seconds until a node may take the tenant's next job */
async function assertRoom(db: Db, tenant: string, maxQueued: number): Promise<void> {
  const queued = await queuedJobs(db, tenant);
  if (maxQueued === 0 || queued.length < maxQueued) return;
  const places = await placesOf(db, queued);
  const next = Math.min(...[...places.values()].map(({ estimatedStart }) => estimatedStart));
  const message = `${queued.length} of your jobs wait to be trained, which is as many as may; wait for one to start, or cancel one.`;
  throw new AppError('queue_full', message, { retryAfter: Math.max(1, next - unixNow()) });
}

async function chooseBaseModel(
  db: Db,
  { base_model, hyperparameters, method }: CreateAdapter,
): Promise<TrainableBase> {
  const baseModel = await findBaseModel(db, base_model);
  if (!baseModel) throw await noBaseModel(db, base_model, 'base_model');
  const { max_length } = hyperparameters;
  if (max_length !== 'auto' && max_length > baseModel.maxLength) {
    const param = 'hyperparameters.max_length';
    throw new AppError(
      'invalid_request',
      `${param}: ${baseModel.id} reads at most ${baseModel.maxLength} tokens`,
      {
        param,
      },
    );
  }
  requireTextRoom(method, max_length, baseModel.id, baseModel.maxLength);
  checkStorable(method, baseModel);
  const precision = method.base_precision;
  if (precision !== 'auto' && !baseModel.precisions.includes(precision)) {
    const param = 'method.base_precision';
    const message = `${param}: ${baseModel.id} is served as ${baseModel.precisions.join(', ')}`;
    throw new AppError('invalid_request', message, { param });
  }
  return baseModel;
}

/** A whole model is as large as its base model: whether it can be stored is known before it is trained. */
function checkStorable({ type }: CreateAdapter['method'], { id, weightsBytes }: TrainableBase): void {
  const most = MAX_FILE_BYTES[ADAPTER_WEIGHTS_FILE];
  if (!formatOf(type).wholeModel || weightsBytes === null || weightsBytes <= most) return;
  const param = 'method.type';
  const message = `${param}: all weights of ${id} have ${weightsBytes} bytes, at most ${most} are stored; train a smaller base model, or another method.`;
  throw new AppError('invalid_request', message, { param });
}

/** The reason why there is no such base model, naming the field that asks for it. */
export async function noBaseModel(db: Db, wanted: string, param: string): Promise<AppError> {
  const known = await knownBaseModels(db);
  if (known.length === 0) {
    return new AppError('no_capacity', 'No node has joined yet, so there is no base model to train on.', {
      retryAfter: RETRY_AFTER_SECONDS,
    });
  }
  const message = `No node has the base model ${JSON.stringify(wanted)}; there is ${known.join(', ')}.`;
  return new AppError('model_not_found', message, { param });
}

interface Datasets {
  training: DatasetRef;
  validation: DatasetRef | null;
}

async function chooseDatasets(
  db: Db,
  tenant: string,
  request: CreateAdapter,
  jobId: string,
): Promise<Datasets> {
  const { training_file, validation_file, examples } = request;
  const ids = [training_file, validation_file].filter((id) => id !== undefined);
  const found = await findDatasets(db, tenant, ids);
  const fileOf = (id: string, param: string) => {
    const file = found.find((row) => row.id === id);
    if (!file) throw new AppError('file_not_found', `There is no file ${id}.`, { param });
    if (file.purpose !== 'fine-tune') {
      const message = `${param}: the file ${id} is for ${file.purpose}; upload the dataset with the purpose fine-tune`;
      throw new AppError('invalid_dataset', message, { param });
    }
    return { labels: file.labels, ref: { key: file.key, file: id } };
  };
  const training: { labels: LabelCounts; ref: DatasetRef } = examples
    ? { labels: countLabels(examples), ref: { key: inlineKey(jobId), file: null } }
    : fileOf(training_file!, 'training_file');
  const validation = validation_file === undefined ? null : fileOf(validation_file, 'validation_file');
  checkTrainable(training.labels, examples ? 'examples' : 'training_file');
  if (validation) checkValidation(training.labels, validation.labels);
  checkClassWeights(request.hyperparameters, training.labels);
  return { training: training.ref, validation: validation?.ref ?? null };
}

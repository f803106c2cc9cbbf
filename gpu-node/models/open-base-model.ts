import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../shared/errors.ts';
import type { BasePrecision } from '../../shared/peft-config.ts';
import {
  BYTES_PER_ELEMENT,
  headerLength,
  parseHeader,
  type TensorEntry,
  toFloat32,
} from '../../shared/safetensors.ts';
import { loadTokenizer } from '../data/tokenizer.ts';
import { elementCount } from '../graph/shapes.ts';
import { openWeightFile, type WeightFile, type WeightSource, writeWeightFile } from '../graph/weight-file.ts';
import { openPrecision } from '../precision/index.ts';
import type { InputRanges, Precision, WeightSpec } from '../precision/precision.ts';
import { calibrate } from './calibrate.ts';
import { parseArchitecture } from './index.ts';
import type { Architecture, BaseModel } from './model.ts';

/** Largest JSON header of a base model: bytes for a hundred thousand tensors. */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;

export interface BaseModelSource {
  /** Registry id, for messages. */
  readonly id: string;
  /** A Hugging Face folder: config.json and model.safetensors. */
  readonly folder: string;
  /** What its weights are read from where that is not the folder's model.safetensors. */
  readonly file?: string;
  /** SHA-256 of that file, or another name for its bytes alone; names the weight file. */
  readonly sha256: string;
  /** Where the weight file lies, or is written the first time. */
  readonly weightsFolder: string;
}

/** The tensors of a base model's own file, in the order of its architecture; to be closed. */
export interface BaseTensors {
  readonly found: readonly FoundTensor[];
  /** Elements of a tensor, from one to before another, as fp32. */
  read(entry: TensorEntry, from?: number, to?: number): Promise<Float32Array>;
  close(): Promise<void>;
}

/** A tensor that an architecture needs, and where the file has it. */
export interface FoundTensor {
  readonly spec: WeightSpec;
  readonly entry: TensorEntry;
}

/** What is known of a base model before its weights are opened in a precision. */
export type BaseModelOutline = Pick<BaseModel, 'architecture' | 'poolings'>;

/**
 * Reads config.json and the names and shapes in model.safetensors, which takes milliseconds.
 * @throws AppError as `openBaseModel` does
 */
export async function outlineBaseModel(source: BaseModelSource): Promise<BaseModelOutline> {
  const architecture = await readArchitecture(source);
  const { found, close } = await openBaseTensors(source, architecture);
  await close();
  const held = new Set(found.map(({ spec }) => spec));
  return { architecture, poolings: poolingsOf(architecture, (spec) => held.has(spec)) };
}

/** @throws AppError naming a tensor that is missing, or its shapes */
export async function openBaseTensors(
  {
    id,
    folder,
    file: path = join(folder, 'model.safetensors'),
  }: Pick<BaseModelSource, 'id' | 'folder' | 'file'>,
  { weights }: Architecture,
): Promise<BaseTensors> {
  const file = await open(path).catch((cause) => {
    const message = `base model ${id}: the file of its weights is gone; try again`;
    throw new AppError('no_capacity', message, { cause, retryAfter: 1 });
  });
  try {
    const entries = await readEntries(file, id);
    return {
      found: weights.flatMap((spec) => findTensor(spec, entries, id) ?? []),
      read: async (entry, from = 0, to = elementCount(entry.shape)) => {
        const size = BYTES_PER_ELEMENT[entry.dtype];
        const bytes = await readBytes(file, entry.begin + from * size, entry.begin + to * size);
        return toFloat32(bytes, entry);
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Opens a base model of any known architecture. Its weights are written once for each precision into a file that graphs map
 * (`graph/weight-file.ts`); later calls, also in other processes, open that file. `form` is what the precision is on another CPU
 * than this one.
 * @throws AppError naming the field of config.json, or the tensor and its shapes, that do not fit
 */
export async function openBaseModel(
  source: BaseModelSource,
  precision: BasePrecision = 'fp32',
  form?: Precision,
): Promise<BaseModel> {
  const architecture = await readArchitecture(source);
  form ??= await openPrecision(precision);
  const path = join(source.weightsFolder, `${source.sha256}.${architecture.type}-${form.layout}.weights`);
  const file =
    (await openIfThere(path, architecture, form)) ?? (await convert(source, architecture, form, path));
  const holds = (spec: WeightSpec) => form.stored(spec).every(({ name }) => file.tensors[name]);
  return {
    architecture,
    precision,
    weights: await form.open(file),
    weightsFolder: source.weightsFolder,
    poolings: poolingsOf(architecture, holds),
    loadTokenizer: () => loadTokenizer(source.folder, source.id),
  };
}

/** Only a pooler may be missing. */
function poolingsOf({ weights }: Architecture, holds: (spec: WeightSpec) => boolean): BaseModel['poolings'] {
  return weights.every(holds) ? ['mean', 'cls'] : ['mean'];
}

async function readArchitecture({ id, folder }: BaseModelSource): Promise<Architecture> {
  const path = join(folder, 'config.json');
  let config: unknown;
  try {
    config = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new AppError('internal_error', `base model ${id}: ${path} cannot be read as JSON`, { cause });
  }
  return parseArchitecture(config, id);
}

/** The weight file where it is complete and fits the architecture, else undefined. */
async function openIfThere(
  path: string,
  architecture: Architecture,
  form: Precision,
): Promise<WeightFile | undefined> {
  const file = await openWeightFile(path).catch(() => undefined);
  const fits = (spec: WeightSpec) =>
    form.stored(spec).every(({ name, shape }) => {
      const stored = file?.tensors[name];
      return stored ? String(stored.shape) === String(shape) : spec.optional;
    });
  return file && architecture.weights.every(fits) ? file : undefined;
}

async function convert(
  source: BaseModelSource,
  architecture: Architecture,
  form: Precision,
  path: string,
): Promise<WeightFile> {
  const ranges: InputRanges = form.calibrated
    ? await calibrate(await openBaseModel(source), source.folder)
    : new Map();
  const tensors = await openBaseTensors(source, architecture);
  try {
    await mkdir(source.weightsFolder, { recursive: true });
    return await writeWeightFile(path, readSources(tensors, form, ranges));
  } finally {
    await tensors.close();
  }
}

async function readEntries(file: FileHandle, id: string): Promise<ReadonlyMap<string, TensorEntry>> {
  const { size } = await file.stat();
  const limits = { file: `base model ${id}: model.safetensors`, maxHeaderBytes: MAX_HEADER_BYTES } as const;
  const prefix = await readBytes(file, 0, Math.min(8, size));
  const length = headerLength(prefix, size, { ...limits, code: 'internal_error' });
  const head = await readBytes(file, 0, 8 + length);
  return parseHeader(head, size, { ...limits, code: 'internal_error' }).tensors;
}

function findTensor(
  spec: WeightSpec,
  entries: ReadonlyMap<string, TensorEntry>,
  id: string,
): FoundTensor | undefined {
  const names = [spec.name, ...spec.aliases];
  const entry = names.map((name) => entries.get(name)).find((each) => each !== undefined);
  const where = `base model ${id}: model.safetensors`;
  if (!entry && spec.optional) return undefined;
  if (!entry) throw new AppError('internal_error', `${where} has no tensor ${names.join(' or ')}`);
  if (String(entry.shape) !== String(spec.shape)) {
    const shapes = `is [${entry.shape.join(', ')}], config.json asks for [${spec.shape.join(', ')}]`;
    throw new AppError('internal_error', `${where}: tensor ${entry.name} ${shapes}`);
  }
  return { spec, entry };
}

async function* readSources(
  { found, read }: BaseTensors,
  form: Precision,
  ranges: InputRanges,
): AsyncIterable<WeightSource> {
  for (const { spec, entry } of found) {
    const elements = form.store(spec, await read(entry), ranges);
    for (const [i, stored] of form.stored(spec).entries()) yield { ...stored, data: elements[i]! };
  }
}

async function readBytes(file: FileHandle, begin: number, end: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - begin);
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, begin + filled);
    if (bytesRead === 0) throw new AppError('internal_error', 'model.safetensors ended while it was read');
    filled += bytesRead;
  }
  return bytes;
}

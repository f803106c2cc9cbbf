import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAdapterConfig } from '../../shared/adapter-config.ts';
import {
  type AdapterDescription,
  type BaseShape,
  checkAgainstBase,
  checkLabels,
  describeAdapter,
} from '../../shared/adapter-description.ts';
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  type BundleFile,
  type BundleManifest,
  MAX_FILE_BYTES,
  PEFT_PREFIX,
  WEFT_FILE,
  type WeftFile,
  weftFile,
} from '../../shared/adapter-format.ts';
import { AppError } from '../../shared/errors.ts';
import {
  ADAPTER_HEADER_BYTES,
  parseHeader,
  type Tensor,
  type TensorEntry,
  toFloat32,
  writeSafetensors,
} from '../../shared/safetensors.ts';

/** The base model that an adapter must fit. */
export interface AdapterBase extends BaseShape {
  id: string;
  /** SHA-256 of its model.safetensors. */
  sha256: string;
  /** Most tokens of a text. */
  max_length: number;
}

/** An adapter whose files agree with each other and with the base model. */
export interface AdapterFiles {
  weft: WeftFile;
  description: AdapterDescription;
  /** The bytes of adapter_model.safetensors, which the description's tensors point into. */
  weights: Uint8Array;
}

function fail(what: string, message: string): never {
  throw new AppError('invalid_adapter', `${what}: ${message}`);
}

/**
 * Reads an adapter's three files, trusting none of them. `what` names the adapter in messages, e.g. `adapter spam@3`.
 * @throws {AppError} `invalid_adapter`, naming file, tensor and shapes
 */
export function readAdapterFiles(
  files: Readonly<Record<BundleFile, Uint8Array>>,
  base: AdapterBase,
  what: string,
): AdapterFiles {
  const weft = readWeftFile(files, what);
  const weights = files[ADAPTER_WEIGHTS_FILE];
  const limits = { file: `${what}: ${ADAPTER_WEIGHTS_FILE}`, maxHeaderBytes: ADAPTER_HEADER_BYTES };
  const header = parseHeader(weights, weights.byteLength, limits);
  const config = parseAdapterConfig(new TextDecoder().decode(files[ADAPTER_CONFIG_FILE]), what);
  const description = describeAdapter(config, header, what);
  checkAgainstBase(description, base, what);
  checkLabels(description, weft.labels, what);
  checkTrainedOn(weft, base, what);
  for (const entry of header.tensors.values()) checkFinite(weights, entry, what);
  return { weft, description, weights };
}

/**
 * Reads weft.json alone, which says what base model the other files are for.
 * @throws {AppError} `invalid_adapter`, naming the field, or a file that is too large
 */
export function readWeftFile(files: Readonly<Record<BundleFile, Uint8Array>>, what: string): WeftFile {
  for (const [name, limit] of Object.entries(MAX_FILE_BYTES)) {
    const { byteLength } = files[name as BundleFile];
    if (byteLength > limit) fail(what, `${name} has ${byteLength} bytes, at most ${limit} are read`);
  }
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(files[WEFT_FILE]));
  } catch (cause) {
    throw new AppError('invalid_adapter', `${what}: ${WEFT_FILE} is not JSON`, { cause });
  }
  const parsed = weftFile.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  return fail(what, `${WEFT_FILE}: ${issue?.path.join('.').slice(0, 120)}: ${issue?.message}`);
}

function checkTrainedOn(weft: WeftFile, base: AdapterBase, what: string): void {
  if (weft.base_model_sha256 !== base.sha256) {
    const trainedOn = `${weft.base_model} (SHA-256 ${weft.base_model_sha256.slice(0, 12)}…)`;
    fail(what, `it was trained on base model ${trainedOn}, not on ${base.id} (${base.sha256.slice(0, 12)}…)`);
  }
  if (weft.max_length > base.max_length) {
    fail(
      what,
      `max_length is ${weft.max_length}, base model ${base.id} takes at most ${base.max_length} tokens`,
    );
  }
}

/** One NaN would make every score of a text NaN, which JSON cannot say. */
function checkFinite(weights: Uint8Array, entry: TensorEntry, what: string): void {
  const values = toFloat32(weights.subarray(entry.begin, entry.end), entry);
  let at = 0;
  while (at < values.length && Number.isFinite(values[at])) at++;
  if (at < values.length)
    fail(what, `${entry.name.slice(0, 120)} [${entry.shape}] holds ${values[at]} at element ${at}`);
}

export interface AdapterContents {
  /** The text of adapter_config.json. */
  config: string;
  /** By name in transformers' classification model, e.g. `bert.encoder.layer.0.attention.self.query.lora_A.weight`. */
  tensors: ReadonlyMap<string, Tensor>;
  weft: WeftFile;
}

/** Writes an adapter's three files into an existing folder. Equal contents give equal bytes and so an equal bundle id. */
export async function writeAdapterFiles(folder: string, contents: AdapterContents): Promise<BundleManifest> {
  const tensors = [...contents.tensors].map(([name, tensor]) => [PEFT_PREFIX + name, tensor] as const);
  const files: [BundleFile, Uint8Array][] = [
    [ADAPTER_CONFIG_FILE, new TextEncoder().encode(contents.config)],
    [ADAPTER_WEIGHTS_FILE, writeSafetensors(new Map(tensors))],
    [WEFT_FILE, new TextEncoder().encode(`${JSON.stringify(contents.weft, null, 2)}\n`)],
  ];
  return Promise.all(
    files.map(async ([name, bytes]) => {
      await writeFile(join(folder, name), bytes);
      return { name, bytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') };
    }),
  );
}

import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AdapterBase, checkContents, checkFits, parseWeftFile } from '../../shared/adapter-check.ts';
import { adapterConfigJson, parseAdapterConfig } from '../../shared/adapter-config.ts';
import type { AdapterDescription } from '../../shared/adapter-description.ts';
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  type BundleFile,
  type BundleManifest,
  MAX_FILE_BYTES,
  WEFT_FILE,
  type WeftFile,
} from '../../shared/adapter-format.ts';
import { AppError } from '../../shared/errors.ts';
import { type AnyConfigInput, formatOf } from '../../shared/methods/index.ts';
import {
  ADAPTER_HEADER_BYTES,
  parseHeader,
  type Tensor,
  toFloat32,
  writeSafetensors,
} from '../../shared/safetensors.ts';
import { scanWeights } from '../../shared/weights-scan.ts';

/** An adapter whose files agree with each other and with the base model. */
export interface AdapterFiles {
  weft: WeftFile;
  description: AdapterDescription;
  /** The bytes of adapter_model.safetensors, which the description's tensors point into. */
  weights: Uint8Array;
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
  const config = parseAdapterConfig(new TextDecoder().decode(files[ADAPTER_CONFIG_FILE]), what);
  const description = checkContents(config, scanWeights(weights, limits), what);
  checkFits(description, weft, base, what);
  return { weft, description, weights };
}

/**
 * Reads weft.json alone, which names the base model of the other files.
 * @throws {AppError} `invalid_adapter`, naming the field, or a file that is too large
 */
export function readWeftFile(files: Readonly<Record<BundleFile, Uint8Array>>, what: string): WeftFile {
  for (const [name, limit] of Object.entries(MAX_FILE_BYTES)) {
    const { byteLength } = files[name as BundleFile];
    if (byteLength <= limit) continue;
    const message = `${what}: ${name} has ${byteLength} bytes, at most ${limit} are read`;
    throw new AppError('invalid_adapter', message);
  }
  return parseWeftFile(files[WEFT_FILE], what);
}

/** A file of a model's head alone, and what it holds: the rest is read where the model is opened. */
export function headAlone(
  weights: Uint8Array,
  description: AdapterDescription,
): { file: Uint8Array<ArrayBuffer>; description: AdapterDescription } {
  const limits = { file: ADAPTER_WEIGHTS_FILE, maxHeaderBytes: ADAPTER_HEADER_BYTES };
  const whole = parseHeader(weights, weights.byteLength, limits);
  const { labels, layers } = description.classifier;
  const names = layers.flatMap(({ weight, bias }) => [weight.name, bias.name]);
  const tensors = names.map((name): [string, Tensor] => {
    const entry = whole.tensors.get(name)!;
    return [name, { shape: entry.shape, data: toFloat32(weights.subarray(entry.begin, entry.end), entry) }];
  });
  const file = writeSafetensors(new Map(tensors));
  const { tensors: entries } = parseHeader(file, file.byteLength, limits);
  const moved = layers.map((layer) => ({
    ...layer,
    weight: entries.get(layer.weight.name)!,
    bias: entries.get(layer.bias.name)!,
  }));
  return { file, description: { ...description, targets: [], classifier: { labels, layers: moved } } };
}

export interface AdapterContents extends AnyConfigInput {
  /** Tensors by name in transformers' classification model, e.g. `bert.encoder.layer.0.attention.self.query.lora_A.weight`. */
  tensors: ReadonlyMap<string, Tensor>;
  weft: WeftFile;
}

/** Writes an adapter's three files into an existing folder. Equal contents give equal bytes and so an equal bundle id. */
export async function writeAdapterFiles(folder: string, contents: AdapterContents): Promise<BundleManifest> {
  const { fileName } = formatOf(contents.method.type);
  const tensors = [...contents.tensors].map(([name, tensor]) => [fileName(name), tensor] as const);
  const files: [BundleFile, Uint8Array][] = [
    [ADAPTER_CONFIG_FILE, new TextEncoder().encode(adapterConfigJson(contents))],
    [ADAPTER_WEIGHTS_FILE, writeSafetensors(new Map(tensors))],
    [WEFT_FILE, new TextEncoder().encode(`${JSON.stringify(contents.weft)}\n`)],
  ];
  return Promise.all(
    files.map(async ([name, bytes]) => {
      await writeFile(join(folder, name), bytes);
      return { name, bytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') };
    }),
  );
}

import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AdapterBase, checkContents, checkFits, parseWeftFile } from '../../shared/adapter-check.ts';
import type { AdapterDescription } from '../../shared/adapter-description.ts';
import {
  ADAPTER_WEIGHTS_FILE,
  type BundleFile,
  type BundleManifest,
  layoutOf,
  MAX_FILE_BYTES,
  WEFT_FILE,
  type WeftFile,
  weightsFileOf,
  weightsFilesOf,
} from '../../shared/adapter-format.ts';
import { configFileTexts, parseConfigFiles } from '../../shared/config-files.ts';
import { AppError } from '../../shared/errors.ts';
import { type AnyConfigInput, formatOf } from '../../shared/methods/index.ts';
import {
  ADAPTER_HEADER_BYTES,
  parseHeader,
  type Tensor,
  toFloat32,
  writeSafetensors,
} from '../../shared/safetensors.ts';
import { joinScans, scanWeights } from '../../shared/weights-scan.ts';
import { joinWeights } from './bundle-files.ts';

/** An adapter's files, whole: those of one layout. */
type FileBytes = Readonly<Partial<Record<BundleFile, Uint8Array>>>;

/** An adapter whose files agree with each other and with the base model. */
export interface AdapterFiles {
  weft: WeftFile;
  description: AdapterDescription;
  /** Its files of tensors as one piece, which the description's tensors point into. */
  weights: Uint8Array;
}

/**
 * Reads an adapter's files, trusting none of them. `what` names the adapter in messages, e.g. `adapter spam@3`.
 * @throws {AppError} `invalid_adapter`, naming file, tensor and shapes
 */
export function readAdapterFiles(files: FileBytes, base: AdapterBase, what: string): AdapterFiles {
  const weft = readWeftFile(files, what);
  const layout = layoutOf(Object.keys(files))!;
  const config = parseConfigFiles(layout, (name) => files[name]!, what);
  const scans = weightsFilesOf(layout).map((name) =>
    scanWeights(files[name]!, { file: `${what}: ${name}`, maxHeaderBytes: ADAPTER_HEADER_BYTES }),
  );
  const description = checkContents(config, joinScans(scans, what), what);
  checkFits(description, weft, base, what);
  return { weft, description, weights: joinWeights(files, layout) };
}

/**
 * Reads weft.json alone, which names the base model of the other files.
 * @throws {AppError} `invalid_adapter`, naming the field, or a file that is too large
 */
export function readWeftFile(files: FileBytes, what: string): WeftFile {
  for (const [name, { byteLength }] of Object.entries(files)) {
    const limit = MAX_FILE_BYTES[name as BundleFile];
    if (byteLength <= limit) continue;
    const message = `${what}: ${name} has ${byteLength} bytes, at most ${limit} are read`;
    throw new AppError('invalid_adapter', message);
  }
  return parseWeftFile(files[WEFT_FILE]!, what);
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

/** Writes an adapter's files into an existing folder, in its method's layout. Equal contents give equal bytes and so an equal bundle id. */
export async function writeAdapterFiles(folder: string, contents: AdapterContents): Promise<BundleManifest> {
  const encoder = new TextEncoder();
  const files: [BundleFile, Uint8Array][] = [
    ...configFileTexts(contents, contents.weft).map(([name, text]): [BundleFile, Uint8Array] => [
      name,
      encoder.encode(text),
    ]),
    ...weightsFiles(contents),
    [WEFT_FILE, encoder.encode(`${JSON.stringify(contents.weft)}\n`)],
  ];
  return Promise.all(
    files.map(async ([name, bytes]) => {
      await writeFile(join(folder, name), bytes);
      return { name, bytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') };
    }),
  );
}

function weightsFiles({ method, encoder, tensors }: AdapterContents): [BundleFile, Uint8Array][] {
  const { layout, fileName } = formatOf(method.type);
  const byFile = Map.groupBy(tensors, ([name]) => weightsFileOf(layout, encoder.family, name));
  return [...byFile].map(([file, own]) => [
    file,
    writeSafetensors(new Map(own.map(([name, tensor]) => [fileName(name), tensor]))),
  ]);
}

import {
  BUNDLE_FILES,
  type BundleFile,
  LAYOUT_NAMES,
  LAYOUTS,
  type LayoutName,
  MAX_BUNDLE_BYTES,
  MAX_FILE_BYTES,
  WEFT_FILE,
  WEIGHTS_FILES,
} from '../../shared/adapter-format.ts';
import { limitBytes } from '../../shared/bytes.ts';
import type { ByteSink } from '../../shared/dataset/dataset.ts';
import { AppError } from '../../shared/errors.ts';
import { ADAPTER_HEADER_BYTES } from '../../shared/safetensors.ts';
import { type ScannedWeights, WeightsScan } from '../../shared/weights-scan.ts';
import { unknownField } from '../invalid-request.ts';
import { type Part, readBytes, readField, readParts } from './multipart.ts';

const FIELDS = ['name', 'labels', 'base_model', 'base_precision', 'pooling', 'max_length'] as const;
type Field = (typeof FIELDS)[number];

/** Bytes of a field: 1,000 labels of 256 characters fit. */
const MAX_FIELD_BYTES = 1024 * 1024;
const AROUND_FILES_BYTES = 64 * 1024;
/** The import's name in messages. */
export const THE_IMPORT = 'the import';

/** The longest body that can hold an acceptable adapter. */
export const MAX_IMPORT_BYTES = MAX_BUNDLE_BYTES + MAX_FIELD_BYTES + AROUND_FILES_BYTES;

/** Files that PEFT or AdapterHub writes where it is not told to write safetensors. */
const PICKLED = ['adapter_model.bin', 'pytorch_adapter.bin', 'pytorch_model_head.bin'];

export interface ReceivedAdapter {
  /** Whose files they are; all of them are there, perhaps but for weft.json. */
  layout: LayoutName;
  /** Those of settings, and weft.json where it came along, whole. */
  files: ReadonlyMap<BundleFile, Uint8Array>;
  /** What the files of tensors hold, by file; all their values are finite. */
  weights: ReadonlyMap<BundleFile, ScannedWeights>;
  /** The fields that were given; `labels` may be given once a label. */
  fields: Partial<Record<Exclude<Field, 'labels'>, string>> & { labels?: string[] };
}

/**
 * Reads an import's multipart body: the files of PEFT or AdapterHub and perhaps Weft's own, told by their part's name or their file's, and
 * fields, in any order. Tensors go to the file's sink as they arrive. Throws where a file is missing, given twice or too large, and at the
 * first weight that is not finite.
 */
export async function receiveAdapter(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  sinkOf: (file: BundleFile) => ByteSink,
): Promise<ReceivedAdapter> {
  const fields: ReceivedAdapter['fields'] = {};
  const files = new Map<BundleFile, Uint8Array>();
  const weights = new Map<BundleFile, ScannedWeights>();
  for await (const part of readParts(body, boundary, MAX_IMPORT_BYTES)) {
    const file = BUNDLE_FILES.find((name) => isFile(part, name));
    if (!file) {
      refusePickled(part);
      await readInto(fields, part);
      continue;
    }
    if (files.has(file) || weights.has(file)) throw givenTwice(file);
    if (WEIGHTS_FILES.has(file)) weights.set(file, await passWeights(part, file, sinkOf(file)));
    else files.set(file, await readBytes(part, MAX_FILE_BYTES[file]));
  }
  return { layout: layoutOfGiven([...files.keys(), ...weights.keys()]), files, weights, fields };
}

/** The layout of which these are all files, perhaps but for weft.json. @throws AppError naming the file that is missing, or too many */
function layoutOfGiven(given: readonly BundleFile[]): LayoutName {
  const own = given.filter((file) => file !== WEFT_FILE);
  const missingIn = (layout: LayoutName) =>
    LAYOUTS[layout].files.filter((file) => file !== WEFT_FILE && !own.includes(file));
  const isOf = (layout: LayoutName) => (file: BundleFile) =>
    (LAYOUTS[layout].files as readonly BundleFile[]).includes(file);
  const fitting = LAYOUT_NAMES.filter((layout) => own.every(isOf(layout)));
  if (fitting.length === 0) {
    const [odd] = own.filter((file) => !LAYOUT_NAMES.every((layout) => isOf(layout)(file))).reverse();
    throw refuse(odd!, `${own.join(', ')} are not the files of one adapter: ${KNOWN_LAYOUTS}.`);
  }
  const [layout] = fitting.sort((a, b) => missingIn(a).length - missingIn(b).length) as [LayoutName];
  const [missing] = missingIn(layout);
  if (missing) throw refuse(missing, `The file ${missing} is missing.`);
  return layout;
}

const KNOWN_LAYOUTS = LAYOUT_NAMES.map((layout) => {
  const files = LAYOUTS[layout].files.filter((file) => file !== WEFT_FILE);
  return `${LAYOUTS[layout].title} writes ${files.join(', ')}`;
}).join('; ');

function isFile({ name, filename }: Part, file: string): boolean {
  return name === file || filename === file;
}

function refusePickled(part: Part): void {
  const file = PICKLED.find((name) => isFile(part, name));
  if (!file) return;
  const message = `${file} is a pickle, which may run any code when it is read; save the adapter as safetensors.`;
  throw refuse(file, message);
}

async function passWeights(part: Part, name: BundleFile, sink: ByteSink): Promise<ScannedWeights> {
  const maxBytes = MAX_FILE_BYTES[name];
  const tooLarge = () =>
    new AppError('payload_too_large', `${name} may have at most ${maxBytes} bytes.`, { param: name });
  const file = `${THE_IMPORT}: ${name}`;
  const scan = new WeightsScan({ file, maxHeaderBytes: ADAPTER_HEADER_BYTES, param: name });
  for await (const chunk of limitBytes(part.body, maxBytes, tooLarge)) {
    scan.add(chunk);
    await sink.write(chunk);
  }
  return scan.finish();
}

async function readInto(fields: ReceivedAdapter['fields'], part: Part): Promise<void> {
  const field = FIELDS.find((known) => known === part.name);
  if (field === undefined) {
    const known = [...BUNDLE_FILES, ...FIELDS];
    throw refuse(part.name, `${part.name}: ${unknownField(known)}`);
  }
  const value = await readField(part, MAX_FIELD_BYTES);
  if (field === 'labels') {
    fields.labels = [...(fields.labels ?? []), value];
  } else {
    if (fields[field] !== undefined) throw givenTwice(field);
    fields[field] = value;
  }
}

function givenTwice(name: string): AppError {
  return refuse(name, `Give ${name} once.`);
}

function refuse(param: string, message: string): AppError {
  return new AppError('invalid_request', message, { param });
}

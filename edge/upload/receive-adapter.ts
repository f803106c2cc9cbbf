import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  MAX_FILE_BYTES,
  WEFT_FILE,
} from '../../shared/adapter-format.ts';
import { AppError } from '../../shared/errors.ts';
import { ADAPTER_HEADER_BYTES } from '../../shared/safetensors.ts';
import { type ScannedWeights, WeightsScan } from '../../shared/weights-scan.ts';
import { unknownField } from '../invalid-request.ts';
import { limitBytes } from './bytes.ts';
import type { ByteSink } from './dataset.ts';
import { type Part, readBytes, readField, readParts } from './multipart.ts';

const FIELDS = ['name', 'labels', 'base_model', 'base_precision', 'pooling', 'max_length'] as const;
type Field = (typeof FIELDS)[number];

/** Bytes of a field: 1,000 labels of 256 characters fit. */
const MAX_FIELD_BYTES = 1024 * 1024;
const AROUND_FILES_BYTES = 64 * 1024;
/** The import's name in messages. */
export const THE_IMPORT = 'the import';

/** The longest body that can hold an acceptable adapter. */
export const MAX_IMPORT_BYTES =
  MAX_FILE_BYTES[ADAPTER_WEIGHTS_FILE] +
  MAX_FILE_BYTES[ADAPTER_CONFIG_FILE] +
  MAX_FILE_BYTES[WEFT_FILE] +
  MAX_FIELD_BYTES +
  AROUND_FILES_BYTES;

export interface ReceivedAdapter {
  /** `adapter_config.json`, whole. */
  config: Uint8Array;
  /** `weft.json`, whole, where it came along. */
  weft?: Uint8Array;
  /** The tensors in `adapter_model.safetensors`; all values are finite. */
  weights: ScannedWeights;
  /** The given fields; `labels` may come once per label. */
  fields: Partial<Record<Exclude<Field, 'labels'>, string>> & { labels?: string[] };
}

/**
 * Reads an import's multipart body: PEFT's two files, optionally Weft's own, and fields, in any order. A file is known by its part's name
 * or its own. The weights go to `sink` as they arrive. Throws if a file is missing, given twice or too large, and at the first weight that
 * is not finite.
 */
export async function receiveAdapter(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  sink: ByteSink,
): Promise<ReceivedAdapter> {
  const received: Partial<ReceivedAdapter> & Pick<ReceivedAdapter, 'fields'> = { fields: {} };
  for await (const part of readParts(body, boundary, MAX_IMPORT_BYTES)) {
    if (isFile(part, ADAPTER_CONFIG_FILE)) {
      refuseTwice(received.config, ADAPTER_CONFIG_FILE);
      received.config = await readBytes(part, MAX_FILE_BYTES[ADAPTER_CONFIG_FILE]);
    } else if (isFile(part, WEFT_FILE)) {
      refuseTwice(received.weft, WEFT_FILE);
      received.weft = await readBytes(part, MAX_FILE_BYTES[WEFT_FILE]);
    } else if (isFile(part, ADAPTER_WEIGHTS_FILE)) {
      refuseTwice(received.weights, ADAPTER_WEIGHTS_FILE);
      received.weights = await passWeights(part, sink);
    } else await readInto(received.fields, part);
  }
  const { config, weights, weft, fields } = received;
  if (!config) throw refuse(ADAPTER_CONFIG_FILE, `The file ${ADAPTER_CONFIG_FILE} is missing.`);
  if (!weights) throw refuse(ADAPTER_WEIGHTS_FILE, `The file ${ADAPTER_WEIGHTS_FILE} is missing.`);
  return { config, weights, ...(weft && { weft }), fields };
}

function isFile({ name, filename }: Part, file: string): boolean {
  return name === file || filename === file;
}

async function passWeights(part: Part, sink: ByteSink): Promise<ReceivedAdapter['weights']> {
  const maxBytes = MAX_FILE_BYTES[ADAPTER_WEIGHTS_FILE];
  const tooLarge = () => {
    const message = `${ADAPTER_WEIGHTS_FILE} may have at most ${maxBytes} bytes.`;
    return new AppError('payload_too_large', message, { param: ADAPTER_WEIGHTS_FILE });
  };
  const file = `${THE_IMPORT}: ${ADAPTER_WEIGHTS_FILE}`;
  const param = ADAPTER_WEIGHTS_FILE;
  const scan = new WeightsScan({ file, maxHeaderBytes: ADAPTER_HEADER_BYTES, param });
  for await (const chunk of limitBytes(part.body, maxBytes, tooLarge)) {
    scan.add(chunk);
    await sink.write(chunk);
  }
  return scan.finish();
}

async function readInto(fields: ReceivedAdapter['fields'], part: Part): Promise<void> {
  const field = FIELDS.find((known) => known === part.name);
  if (field === undefined) {
    const known = [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, WEFT_FILE, ...FIELDS];
    throw refuse(part.name, `${part.name}: ${unknownField(known)}`);
  }
  const value = await readField(part, MAX_FIELD_BYTES);
  if (field === 'labels') {
    fields.labels = [...(fields.labels ?? []), value];
  } else {
    refuseTwice(fields[field], field);
    fields[field] = value;
  }
}

function refuseTwice(earlier: unknown, name: string): void {
  if (earlier !== undefined) throw refuse(name, `Give ${name} once.`);
}

function refuse(param: string, message: string): AppError {
  return new AppError('invalid_request', message, { param });
}

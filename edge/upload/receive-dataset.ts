import { type InvalidRows, invalidRows, MAX_UPLOAD_BYTES } from '../../shared/api/datasets.ts';
import { limitBytes } from '../../shared/bytes.ts';
import { type ByteSink, type IngestedDataset, ingestDataset, settle } from '../../shared/dataset/dataset.ts';
import type { DatasetSummary } from '../../shared/dataset/row-check.ts';
import { AppError } from '../../shared/errors.ts';
import { unknownField } from '../invalid-request.ts';
import { displayName } from './disposition.ts';
import { type Part, readField, readParts } from './multipart.ts';

/** Bytes for the fields, headers and delimiters around the file. */
const AROUND_FILE_BYTES = 64 * 1024;
const MAX_FIELD_BYTES = 1024;
export const PURPOSE = 'fine-tune';

/** The fields beside the file, and the values of each. */
const FIELDS = { purpose: [PURPOSE], invalid_rows: invalidRows.options } as const;
type Field = keyof typeof FIELDS;

/** The longest body that can hold an acceptable file. */
export const MAX_BODY_BYTES = MAX_UPLOAD_BYTES + AROUND_FILE_BYTES;

export interface ReceivedDataset extends DatasetSummary {
  filename: string;
  /** Size as uploaded. */
  bytes: number;
}

export function tooLargeUpload(): AppError {
  const message = `A file may have at most ${MAX_UPLOAD_BYTES} bytes; split it, or keep fewer rows.`;
  return new AppError('payload_too_large', message, { param: 'file' });
}

/**
 * Reads an upload's multipart body: one `file`, whose rows go to `sink` as they arrive, `purpose`, and optionally `invalid_rows`, in any
 * order. Throws if one is missing, given twice or wrong; the caller must then drop what `sink` holds.
 */
export async function receiveDataset(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  sink: ByteSink,
): Promise<ReceivedDataset> {
  let received: (IngestedDataset & { filename: string; bytes: number }) | undefined;
  const fields = new Map<string, string>();
  for await (const part of readParts(body, boundary, MAX_BODY_BYTES)) {
    const { name } = part;
    if (name === 'file') {
      if (received) throw refuse('file', 'Give one file a request.');
      received = await receiveFile(part, sink);
    } else if (Object.hasOwn(FIELDS, name)) {
      if (fields.has(name)) throw refuse(name, `Give ${name} once.`);
      fields.set(name, checkField(name as Field, await readField(part, MAX_FIELD_BYTES)));
    } else throw refuse(name, `${name}: ${unknownField(['file', ...Object.keys(FIELDS)])}`);
  }
  if (!received) throw refuse('file', 'The part "file" is missing.');
  checkField('purpose', fields.get('purpose'));
  const { filename, bytes } = received;
  return { ...settle(received, (fields.get('invalid_rows') ?? 'refuse') as InvalidRows), filename, bytes };
}

async function receiveFile({ filename, body }: Part, sink: ByteSink) {
  if (filename === undefined) throw refuse('file', 'The part "file" must be a file, with a filename.');
  const read = { bytes: 0 };
  const ingested = await ingestDataset(limitBytes(body, MAX_UPLOAD_BYTES, tooLargeUpload, read), sink);
  return { ...ingested, filename: displayName(filename), bytes: read.bytes };
}

function checkField(name: Field, value: string | undefined): string {
  const allowed: readonly string[] = FIELDS[name];
  if (value !== undefined && allowed.includes(value)) return value;
  throw refuse(name, `${name} must be ${allowed.map((each) => `"${each}"`).join(' or ')}.`);
}

function refuse(param: string, message: string): AppError {
  return new AppError('invalid_request', message, { param });
}

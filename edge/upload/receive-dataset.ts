import { z } from 'zod';
import {
  columnName,
  expirySeconds,
  type InvalidRows,
  invalidRows,
  MAX_UPLOAD_BYTES,
} from '../../shared/api/datasets.ts';
import { limitBytes } from '../../shared/bytes.ts';
import {
  type ByteSink,
  type IngestedDataset,
  type IngestOptions,
  ingestDataset,
  settle,
} from '../../shared/dataset/dataset.ts';
import type { DatasetSummary } from '../../shared/dataset/row-check.ts';
import { AppError } from '../../shared/errors.ts';
import { unknownField } from '../invalid-request.ts';
import { displayName } from './disposition.ts';
import { type Part, readField, readParts } from './multipart.ts';

/** Bytes for the fields, headers and delimiters around the file. */
const AROUND_FILE_BYTES = 64 * 1024;
const MAX_FIELD_BYTES = 1024;

interface Field {
  readonly schema: z.ZodType<string>;
  readonly must: string;
  /** True for a field that decides how the file is read, which is read as it arrives. */
  readonly isBeforeFile?: boolean;
}

/** The fields of OpenAI's `expires_after`, as its SDKs write them in a form. */
const EXPIRY = ['expires_after[anchor]', 'expires_after[seconds]'] as const;

/** The fields beside the file. */
const FIELDS: Readonly<Record<string, Field>> = {
  purpose: oneOf(['fine-tune']),
  invalid_rows: oneOf(invalidRows.options),
  text_column: nameOfColumn(),
  label_column: nameOfColumn(),
  [EXPIRY[0]]: oneOf(['created_at']),
  [EXPIRY[1]]: {
    schema: z
      .string()
      .refine((digits) => /^[0-9]+$/.test(digits) && expirySeconds.safeParse(Number(digits)).success),
    must: `${expirySeconds.minValue} to ${expirySeconds.maxValue}`,
  },
};

/** The longest body that can hold an acceptable file. */
export const MAX_BODY_BYTES = MAX_UPLOAD_BYTES + AROUND_FILE_BYTES;

export interface ReceivedDataset extends DatasetSummary {
  filename: string;
  /** Size as uploaded. */
  bytes: number;
  /** Seconds after which it expires; null where it is kept. */
  expiresAfter: number | null;
}

export function tooLargeUpload(): AppError {
  const message = `A file may have at most ${MAX_UPLOAD_BYTES} bytes; split it, or keep fewer rows.`;
  return new AppError('payload_too_large', message, { param: 'file' });
}

/**
 * Reads an upload's multipart body: one `file`, whose rows go to `sink` as they arrive and its bad ones to `problems`, `purpose`, and optionally `invalid_rows` and `expires_after`, in any
 * order, but for the columns' names, which come before the file. Throws if one is missing, given twice or wrong; the caller must then drop what `sink` holds.
 */
export async function receiveDataset(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  sink: ByteSink,
  problems: ByteSink,
): Promise<ReceivedDataset> {
  let received: (IngestedDataset & { filename: string; bytes: number }) | undefined;
  const fields = new Map<string, string>();
  for await (const part of readParts(body, boundary, MAX_BODY_BYTES)) {
    const { name } = part;
    if (name === 'file') {
      if (received) throw refuse('file', 'Give one file a request.');
      const columns = { text: fields.get('text_column'), label: fields.get('label_column') };
      received = await receiveFile(part, sink, { columns, problems });
    } else if (Object.hasOwn(FIELDS, name)) {
      if (fields.has(name)) throw refuse(name, `Give ${name} once.`);
      if (received && FIELDS[name]!.isBeforeFile) throw refuse(name, `Give ${name} before the file.`);
      fields.set(name, checkField(name, await readField(part, MAX_FIELD_BYTES)));
    } else throw refuse(name, `${name}: ${unknownField(['file', ...Object.keys(FIELDS)])}`);
  }
  if (!received) throw refuse('file', 'The part "file" is missing.');
  checkField('purpose', fields.get('purpose'));
  const { filename, bytes } = received;
  const settled = settle(received, (fields.get('invalid_rows') ?? 'refuse') as InvalidRows);
  return { ...settled, filename, bytes, expiresAfter: expiryIn(fields) };
}

function expiryIn(fields: ReadonlyMap<string, string>): number | null {
  if (!EXPIRY.some((name) => fields.has(name))) return null;
  for (const name of EXPIRY) checkField(name, fields.get(name));
  return Number(fields.get(EXPIRY[1]));
}

async function receiveFile({ filename, body }: Part, sink: ByteSink, options: IngestOptions) {
  if (filename === undefined) throw refuse('file', 'The part "file" must be a file, with a filename.');
  const read = { bytes: 0 };
  const bounded = limitBytes(body, MAX_UPLOAD_BYTES, tooLargeUpload, read);
  const ingested = await ingestDataset(bounded, sink, options);
  return { ...ingested, filename: displayName(filename), bytes: read.bytes };
}

function oneOf(values: readonly string[]): Field {
  return { schema: z.enum(values), must: values.map((each) => `"${each}"`).join(' or ') };
}

function nameOfColumn(): Field {
  return { schema: columnName, must: 'a name of 1 to 256 characters', isBeforeFile: true };
}

function checkField(name: string, value: string | undefined): string {
  const { schema, must } = FIELDS[name]!;
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  throw refuse(name, `${name} must be ${must}.`);
}

function refuse(param: string, message: string): AppError {
  return new AppError('invalid_request', message, { param });
}

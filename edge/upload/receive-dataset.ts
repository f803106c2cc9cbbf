import { MAX_UPLOAD_BYTES } from '../../shared/api/datasets.ts';
import { AppError } from '../../shared/errors.ts';
import { unknownField } from '../invalid-request.ts';
import { limitBytes } from './bytes.ts';
import { type ByteSink, ingestDataset } from './dataset.ts';
import { displayName } from './disposition.ts';
import { readField, readParts } from './multipart.ts';
import type { DatasetSummary } from './row-check.ts';

/** Room for the fields, headers and delimiters around the file. */
const AROUND_FILE_BYTES = 64 * 1024;
const MAX_FIELD_BYTES = 1024;
export const PURPOSE = 'fine-tune';

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
 * Reads an upload's multipart body: one `file`, whose rows go to `sink` as they arrive, and `purpose`, in any order.
 * Throws where either is missing, given twice or wrong; what `sink` then holds is to be dropped.
 */
export async function receiveDataset(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  sink: ByteSink,
): Promise<ReceivedDataset> {
  let received: ReceivedDataset | undefined;
  let purpose: string | undefined;
  for await (const part of readParts(body, boundary, MAX_BODY_BYTES)) {
    if (part.name === 'file') {
      if (received) throw refuse('file', 'Give one file a request.');
      if (part.filename === undefined)
        throw refuse('file', 'The part "file" must be a file, with a filename.');
      const read = { bytes: 0 };
      const summary = await ingestDataset(
        limitBytes(part.body, MAX_UPLOAD_BYTES, tooLargeUpload, read),
        sink,
      );
      received = { ...summary, filename: displayName(part.filename), bytes: read.bytes };
    } else if (part.name === 'purpose') {
      if (purpose !== undefined) throw refuse('purpose', 'Give purpose once.');
      purpose = checkPurpose(await readField(part, MAX_FIELD_BYTES));
    } else throw refuse(part.name, `${part.name}: ${unknownField(['file', 'purpose'])}`);
  }
  if (!received) throw refuse('file', 'The part "file" is missing.');
  checkPurpose(purpose);
  return received;
}

function checkPurpose(purpose: string | undefined): string {
  if (purpose === PURPOSE) return purpose;
  throw refuse('purpose', `purpose must be "${PURPOSE}".`);
}

function refuse(param: string, message: string): AppError {
  return new AppError('invalid_request', message, { param });
}

import { createReadStream } from 'node:fs';
import { MAX_UPLOAD_BYTES } from '../shared/api/datasets.ts';
import { limitBytes } from '../shared/bytes.ts';
import { type ByteSink, ingestDataset, settle } from '../shared/dataset/dataset.ts';
import { findLeaks } from '../shared/dataset/leaks.ts';
import type { DatasetSummary } from '../shared/dataset/row-check.ts';
import { AppError } from '../shared/errors.ts';
import type { DatasetOptions } from './dataset-options.ts';
import { Failure, fileFailure } from './failure.ts';

export interface CheckedDataset extends DatasetSummary {
  bytes: number;
}

/** What a check needs besides the file; `problems` receives all bad rows. */
export interface CheckOptions extends DatasetOptions {
  problems?: ByteSink;
  signal: AbortSignal;
}

const NOWHERE: ByteSink = { write: async () => {} };

/**
 * Reads a dataset with the checks of an upload, row by row.
 * @throws {Failure} `invalid_dataset` with the first bad lines; `payload_too_large`; `file_unreadable`
 */
export async function checkDataset(path: string, options: CheckOptions): Promise<CheckedDataset> {
  const read = { bytes: 0 };
  const ingested = await ingest(path, NOWHERE, options, read);
  try {
    return { bytes: read.bytes, ...settle(ingested, options.skipInvalid ? 'skip' : 'refuse') };
  } catch (error) {
    throw asFailure(error, path);
  }
}

/** The validation rows whose text is also trained on: their number, and the first of them by their place among the sound rows. */
export async function checkLeaks(training: string, validation: string, options: CheckOptions) {
  const stored = (path: string) => acceptedRows(path, options);
  const { rows, lines, isComplete } = await findLeaks(stored(training), stored(validation));
  return { leaks: { validation_file: validation, rows, lines }, isComplete };
}

async function ingest(path: string, sink: ByteSink, options: CheckOptions, read = { bytes: 0 }) {
  const { textColumn, labelColumn, problems, signal } = options;
  const tooLarge = () =>
    new AppError(
      'payload_too_large',
      `A file may have at most ${MAX_UPLOAD_BYTES} bytes; split it, or keep fewer rows.`,
    );
  try {
    const chunks = limitBytes(createReadStream(path, { signal }), MAX_UPLOAD_BYTES, tooLarge, read);
    const columns = { text: textColumn, label: labelColumn };
    return await ingestDataset(chunks, sink, { columns, ...(problems && { problems }) });
  } catch (error) {
    throw asFailure(error, path);
  }
}

/** The sound rows of a dataset as they would be stored. */
async function* acceptedRows(
  path: string,
  { problems: _, ...options }: CheckOptions,
): AsyncGenerator<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const read = ingest(path, { write: (bytes) => writer.write(bytes) }, options).then(
    () => writer.close(),
    (error) => writer.abort(error),
  );
  yield* readable;
  await read;
}

function asFailure(error: unknown, path: string): unknown {
  if (!(error instanceof AppError)) return fileFailure(error, path) ?? error;
  const { code, message, errors, totalErrors } = error;
  const here = message.replace('send invalid_rows=skip', 'say --skip-invalid');
  return new Failure('failed', code, here, { errors, totalErrors, cause: error });
}

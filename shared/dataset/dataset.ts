import { type InvalidRows, MAX_DATASET_BYTES, MAX_PROBLEMS_BYTES } from '../api/datasets.ts';
import { AppError } from '../errors.ts';
import type { Columns } from './find-in-row.ts';
import { openFile } from './open-file.ts';
import { type DatasetSummary, RowCheck } from './row-check.ts';
import { LF, type RawRow, type RowReader } from './rows.ts';
import { refuseFile } from './unpack.ts';

/** Receiver of the accepted rows. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

const encoder = new TextEncoder();

export interface IngestOptions {
  /** Names of the text's and the label's fields, in JSON or in a header, where they are not the usual ones. */
  columns?: Columns;
  /** Most bytes of the rows that are written. */
  maxStoredBytes?: number;
  /** Receiver of all bad rows, as JSONL `{"line","message"}`, up to 16 MiB. */
  problems?: ByteSink;
}

/** A file that was read, and the error that refuses it unless its invalid rows are left out. */
export interface IngestedDataset {
  summary: DatasetSummary;
  refusal: AppError | undefined;
}

/** The summary of a file. Throws `invalid_dataset` with the lines of its invalid rows unless they are left out. */
export function settle({ summary, refusal }: IngestedDataset, invalidRows: InvalidRows): DatasetSummary {
  if (refusal && invalidRows === 'refuse') throw refusal;
  return summary;
}

/**
 * Reads a dataset file of any kind, told from its content, checks every row and writes the good ones to `sink` as JSONL `{"text","label"}`.
 * `settle` decides whether bad rows refuse the file, because a request may say so after the file. Throws `invalid_dataset` if nothing is
 * usable or a fault may hide more, and `payload_too_large` if there is too much to unpack.
 */
export async function ingestDataset(
  chunks: AsyncIterable<Uint8Array>,
  sink: ByteSink,
  { columns = {}, ...options }: IngestOptions = {},
): Promise<IngestedDataset> {
  const { reader, rest } = await openFile(chunks, columns);
  const intake = new Intake(reader, sink, options);
  try {
    while (!intake.isOver) {
      const next = await rest.next();
      if (next.done) await intake.end();
      else await intake.take(next.value);
    }
    return intake.conclude();
  } finally {
    await rest.return?.();
  }
}

/** Takes a file's bytes to its end, or to where the rest is not worth reading. */
class Intake {
  isOver = false;
  readonly #reader: RowReader;
  readonly #sink: ByteSink;
  readonly #maxStoredBytes: number;
  readonly #problems: ByteSink | undefined;
  readonly #check = new RowCheck();
  #storedBytes = 0;
  #problemBytes = 0;

  constructor(
    reader: RowReader,
    sink: ByteSink,
    { maxStoredBytes = MAX_DATASET_BYTES, problems }: Omit<IngestOptions, 'columns'>,
  ) {
    this.#reader = reader;
    this.#sink = sink;
    this.#maxStoredBytes = maxStoredBytes;
    this.#problems = problems;
  }

  take(chunk: Uint8Array): Promise<void> {
    return this.#store(this.#acceptedRows(this.#reader.push(chunk)));
  }

  async end(): Promise<void> {
    const last = this.#acceptedRows(this.#reader.end());
    this.isOver = true;
    await this.#store(last);
  }

  conclude(): IngestedDataset {
    const { totalErrors, fatal } = this.#check;
    if (fatal) throw this.#refusal(fatal, '');
    const summary = this.#check.summary();
    if (summary.examples === 0) throw totalErrors > 0 ? this.#refusal() : refuseFile('The file has no rows.');
    const way = ' Mend what is wrong, or send invalid_rows=skip to leave such rows out.';
    return { summary, refusal: totalErrors > 0 ? this.#refusal(undefined, way) : undefined };
  }

  /** The error that lists the bad rows; its message shows one of them. */
  #refusal(shown = this.#check.errors[0]!, way = ' No row is left.'): AppError {
    const { totalErrors, errors } = this.#check;
    const lines = totalErrors === 1 ? 'a bad line' : `${totalErrors} bad lines`;
    const message = `The file has ${lines}; line ${shown.line}: ${shown.message}.${way}`;
    return new AppError('invalid_dataset', message, { param: 'file', errors, totalErrors });
  }

  /** The good rows as JSONL; the bad ones are counted. */
  #acceptedRows(rows: Iterable<RawRow>): string {
    let accepted = '';
    for (const row of rows) {
      accepted += this.#check.accept(row) ?? '';
      this.isOver = this.#reader.isBroken || this.#check.isHopeless;
      if (this.isOver) break;
    }
    return accepted;
  }

  async #store(rows: string): Promise<void> {
    await this.#noteProblems(this.#check.takeProblems());
    if (this.#check.fatal || rows === '') return;
    const bytes = encoder.encode(rows);
    this.#storedBytes += bytes.byteLength;
    if (this.#storedBytes > this.#maxStoredBytes) {
      throw refuseFile(`As JSONL the file has more than ${this.#maxStoredBytes} bytes.`);
    }
    await this.#sink.write(bytes);
  }

  /** Writes the bad rows, up to the last one that the limit lets in whole. */
  async #noteProblems(problems: string): Promise<void> {
    const room = MAX_PROBLEMS_BYTES - this.#problemBytes;
    if (!this.#problems || problems === '' || room === 0) return;
    const bytes = encoder.encode(problems);
    const fits = bytes.byteLength <= room ? bytes : bytes.subarray(0, bytes.lastIndexOf(LF, room - 1) + 1);
    // Nothing follows what did not fit.
    this.#problemBytes =
      fits.byteLength < bytes.byteLength ? MAX_PROBLEMS_BYTES : this.#problemBytes + bytes.byteLength;
    if (fits.byteLength > 0) await this.#problems.write(fits);
  }
}

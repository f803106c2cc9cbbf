import { MAX_DATASET_BYTES, MAX_LINE_BYTES } from '../../shared/api/datasets.ts';
import { AppError } from '../../shared/errors.ts';
import { joinBytes } from './bytes.ts';
import { CsvParser } from './csv-rows.ts';
import { JsonlParser } from './jsonl-rows.ts';
import { type DatasetSummary, RowCheck } from './row-check.ts';
import { type Line, LineSplitter, type RowParser } from './rows.ts';

/** Where the accepted rows go. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

/** A header longer than this is none. */
const MAX_HEAD_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
const encoder = new TextEncoder();

/**
 * Reads a dataset file (CSV, TSV or JSONL, told apart by its first line), checks every row and writes the good ones to
 * `sink` as JSONL `{"text","label"}`. After a bad row nothing more is written, but the rest is still checked, so that
 * the error tells all. Throws `invalid_dataset` with the lines.
 */
export async function ingestDataset(
  chunks: AsyncIterable<Uint8Array>,
  sink: ByteSink,
  maxStoredBytes = MAX_DATASET_BYTES,
): Promise<DatasetSummary> {
  const source = chunks[Symbol.asyncIterator]();
  try {
    const head = await readHead(source);
    const intake = new Intake(parserFor(head), sink, maxStoredBytes);
    await intake.take(head);
    while (!intake.isOver) {
      const next = await source.next();
      if (next.done) await intake.end();
      else await intake.take(next.value);
    }
    return intake.conclude();
  } finally {
    await source.return?.();
  }
}

/** Takes a file's bytes to its end, or to where the rest is not worth reading. */
class Intake {
  isOver = false;
  readonly #parser: RowParser;
  readonly #sink: ByteSink;
  readonly #maxStoredBytes: number;
  readonly #splitter = new LineSplitter(MAX_LINE_BYTES);
  readonly #check = new RowCheck();
  #storedBytes = 0;

  constructor(parser: RowParser, sink: ByteSink, maxStoredBytes: number) {
    this.#parser = parser;
    this.#sink = sink;
    this.#maxStoredBytes = maxStoredBytes;
  }

  take(chunk: Uint8Array): Promise<void> {
    return this.#store(this.#acceptedRows(this.#splitter.push(chunk)));
  }

  async end(): Promise<void> {
    const last = this.#acceptedRows(this.#splitter.end());
    this.#check.reject(this.#parser.end());
    this.isOver = true;
    await this.#store(last);
  }

  conclude(): DatasetSummary {
    const { totalErrors, errors } = this.#check;
    if (totalErrors > 0) {
      const { line, message } = errors[0]!;
      const lines = totalErrors === 1 ? 'a bad line' : `${totalErrors} bad lines`;
      throw new AppError('invalid_dataset', `The file has ${lines}; line ${line}: ${message}.`, {
        param: 'file',
        errors,
        totalErrors,
      });
    }
    const summary = this.#check.summary();
    if (summary.examples === 0) throw refuse('The file has no rows.');
    return summary;
  }

  /** The good rows of these lines as JSONL; the bad ones are counted. */
  #acceptedRows(lines: Iterable<Line>): string {
    let accepted = '';
    for (const line of lines) {
      const row = this.#parser.take(line);
      accepted += (row && this.#check.accept(row)) ?? '';
      this.isOver = this.#parser.isBroken || this.#check.isHopeless;
      if (this.isOver) break;
    }
    return accepted;
  }

  async #store(rows: string): Promise<void> {
    if (this.#check.totalErrors > 0 || rows === '') return;
    const bytes = encoder.encode(rows);
    this.#storedBytes += bytes.byteLength;
    if (this.#storedBytes > this.#maxStoredBytes) {
      throw refuse(`As JSONL the file has more than ${this.#maxStoredBytes} bytes.`);
    }
    await this.#sink.write(bytes);
  }
}

function refuse(message: string): AppError {
  return new AppError('invalid_dataset', message, { param: 'file' });
}

/** Everything up to the end of the first line that is not blank, without the byte order mark. */
async function readHead(source: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let inLine = false;
  while (bytes < MAX_HEAD_BYTES) {
    const { done, value } = await source.next();
    if (done) break;
    chunks.push(value);
    bytes += value.byteLength;
    const start: number = inLine ? 0 : value.findIndex(isInk);
    inLine ||= start >= 0;
    if (inLine && value.indexOf(NEWLINE, start) >= 0) break;
  }
  return withoutMark(joinBytes(chunks));
}

function isInk(byte: number): boolean {
  return byte > 0x20;
}

function withoutMark(head: Uint8Array): Uint8Array {
  const [a, b, c] = head;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) {
    throw refuse('The file is UTF-16; save it as UTF-8.');
  }
  return a === 0xef && b === 0xbb && c === 0xbf ? head.subarray(3) : head;
}

function parserFor(head: Uint8Array): RowParser {
  const start = head.findIndex(isInk);
  if (start < 0 && head.byteLength < MAX_HEAD_BYTES) throw refuse('The file is empty.');
  const first = String.fromCharCode(head[start] ?? 0);
  if (first === '{') return new JsonlParser();
  if (first === '[')
    throw refuse('The file is a JSON array; JSONL holds one object a line, without brackets.');
  const end = head.indexOf(NEWLINE, start);
  const header = head.subarray(start, end < 0 ? head.byteLength : end);
  return new CsvParser(header.includes(0x09) ? '\t' : ',', MAX_LINE_BYTES);
}

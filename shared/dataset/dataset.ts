import { type InvalidRows, MAX_DATASET_BYTES, MAX_LINE_BYTES } from '../api/datasets.ts';
import { joinBytes } from '../bytes.ts';
import { AppError } from '../errors.ts';
import { CsvParser } from './csv-rows.ts';
import { refuseFile } from './file-kinds.ts';
import { JsonlParser } from './jsonl-rows.ts';
import { type DatasetSummary, RowCheck } from './row-check.ts';
import { CR, LF, type Line, LineSplitter, type RowParser } from './rows.ts';
import { readText } from './text-source.ts';

/** Receiver of the accepted rows. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

/** Most bytes of a header line. */
const MAX_HEAD_BYTES = 64 * 1024;
const encoder = new TextEncoder();

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
 * Reads a dataset file (JSONL, or CSV with any usual separator, told apart by its first line), checks every row and writes the good ones to
 * `sink` as JSONL `{"text","label"}`. `settle` decides whether bad rows refuse the file, because a request may say so after the file.
 * Throws `invalid_dataset` if nothing is usable or a fault may hide more.
 */
export async function ingestDataset(
  chunks: AsyncIterable<Uint8Array>,
  sink: ByteSink,
  maxStoredBytes = MAX_DATASET_BYTES,
): Promise<IngestedDataset> {
  const source = readText(chunks);
  try {
    const head = await readHead(source);
    const intake = new Intake(
      parserFor(head),
      lineEndOf(head.subarray(0, MAX_HEAD_BYTES)),
      sink,
      maxStoredBytes,
    );
    await intake.take(head);
    while (!intake.isOver) {
      const next = await source.next();
      if (next.done) await intake.end();
      else await intake.take(next.value);
    }
    return intake.conclude();
  } finally {
    await source.return(undefined);
  }
}

/** Takes a file's bytes to its end, or to where the rest is not worth reading. */
class Intake {
  isOver = false;
  readonly #parser: RowParser;
  readonly #sink: ByteSink;
  readonly #maxStoredBytes: number;
  readonly #splitter: LineSplitter;
  readonly #check = new RowCheck();
  #storedBytes = 0;

  constructor(parser: RowParser, lineEnd: typeof LF | typeof CR, sink: ByteSink, maxStoredBytes: number) {
    this.#parser = parser;
    this.#splitter = new LineSplitter(MAX_LINE_BYTES, lineEnd);
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
    if (this.#check.fatal || rows === '') return;
    const bytes = encoder.encode(rows);
    this.#storedBytes += bytes.byteLength;
    if (this.#storedBytes > this.#maxStoredBytes) {
      throw refuseFile(`As JSONL the file has more than ${this.#maxStoredBytes} bytes.`);
    }
    await this.#sink.write(bytes);
  }
}

/** Everything up to the end of the first line that is not blank. */
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
    if (inLine && value.subarray(start).some(endsLine)) break;
  }
  return joinBytes(chunks);
}

function isInk(byte: number): boolean {
  return byte > 0x20;
}

/** True for a byte that ends a line; a `\r` at the end of the bytes may be part of a CRLF. */
function endsLine(byte: number, at: number, bytes: Uint8Array): boolean {
  return byte === LF || (byte === CR && at + 1 < bytes.byteLength && bytes[at + 1] !== CR);
}

/** The byte that ends lines: CR if the first line ends so, as old Macs wrote; a CRLF, or the `\r\r\n` of a conversion, ends at its LF. */
function lineEndOf(head: Uint8Array): typeof LF | typeof CR {
  const first = head.findIndex((byte) => byte === LF || byte === CR);
  const next = head.subarray(Math.max(0, first)).find((byte) => byte !== CR);
  return first >= 0 && head[first] === CR && next !== LF ? CR : LF;
}

function parserFor(head: Uint8Array): RowParser {
  const start = head.findIndex(isInk);
  if (start < 0 && head.byteLength < MAX_HEAD_BYTES) throw refuseFile('The file is empty.');
  const first = String.fromCharCode(head[start] ?? 0);
  if (first === '[') {
    throw refuseFile('The file is a JSON array; JSONL holds one object a line, without brackets.');
  }
  return first === '{' ? new JsonlParser() : new CsvParser(MAX_LINE_BYTES);
}

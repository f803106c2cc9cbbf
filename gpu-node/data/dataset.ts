import { createReadStream } from 'node:fs';
import { type Example, MAX_ROW_CHARS, readRow } from '../../shared/api/rows.ts';
import { AppError } from '../../shared/errors.ts';
import type { Random } from '../random.ts';

/**
 * Yields the rows of a dataset one at a time, from JSONL with one `{"text", "label"}` per line, the edge's form of every upload. Blank
 * lines are skipped.
 * @throws {AppError} `invalid_dataset` with the line's number
 */
export async function* readExamples(path: string): AsyncGenerator<Example> {
  let number = 0;
  for await (const line of readLines(path)) {
    number++;
    if (line.trim() !== '') yield parseLine(line, number);
  }
}

/** Yields lines that end at `\n` alone; Node's readline also ends them at U+2028, which JSON allows inside a text. */
async function* readLines(path: string): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of createReadStream(path, { encoding: 'utf8' })) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    if (rest.length > MAX_ROW_CHARS) throw invalid(`a line is longer than ${MAX_ROW_CHARS} characters`);
    yield* lines;
  }
  yield rest;
}

function parseLine(line: string, number: number): Example {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (cause) {
    throw invalid(`line ${number} is not JSON`, number, cause);
  }
  const row = readRow(json);
  if ('value' in row) return row.value;
  throw invalid(`line ${number}: ${row.error}`, number);
}

function invalid(message: string, line?: number, cause?: unknown): AppError {
  const errors = line === undefined ? undefined : [{ line, message }];
  return new AppError('invalid_dataset', message, { ...(errors && { errors }), cause });
}

/**
 * Sorts labels into the one order of the classifier's rows and of every list of labels: by name, with numbers in a name compared by value.
 */
export function sortLabels(labels: Iterable<string>): string[] {
  const key = (label: string) => label.replace(/\d+/g, (digits) => digits.padStart(20, '0'));
  const keyed = [...new Set(labels)].map((label) => ({ label, key: key(label) }));
  return keyed.sort((a, b) => compare(a.key, b.key) || compare(a.label, b.label)).map(({ label }) => label);
}

/** Compares by code unit, so that the order is the same on every machine. */
function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/**
 * Sets `count` rows aside, drawn at random with each label in its proportion; both parts keep the order of the rows. Every label keeps at
 * least one row to train on, so fewer may be set aside than asked for.
 */
export function stratifiedSplit<T extends { readonly label: unknown }>(
  rows: readonly T[],
  count: number,
  random: Random,
): { training: T[]; validation: T[] } {
  const { training, validation } = splitByLabel(
    rows.map(({ label }) => label),
    count,
    random,
  );
  const at = (numbers: Uint32Array) => Array.from(numbers, (row) => rows[row]!);
  return { training: at(training), validation: at(validation) };
}

/** Numbers of the rows to train on, and of those set aside. */
export interface RowSplit {
  readonly training: Uint32Array;
  readonly validation: Uint32Array;
}

/** The same split from labels alone; it returns the rows' numbers. */
export function splitByLabel(labels: ArrayLike<unknown>, count: number, random: Random): RowSplit {
  const rows = Uint32Array.from({ length: labels.length }, (_, row) => row);
  const groups = [...Map.groupBy(rows, (row) => labels[row]).values()];
  const shares = apportion(
    groups.map(({ length }) => length),
    count,
  );
  const isAside = new Uint8Array(labels.length);
  for (const [i, group] of groups.entries()) {
    for (const row of random.shuffle(group).slice(0, shares[i])) isAside[row] = 1;
  }
  return {
    training: rows.filter((row) => !isAside[row]),
    validation: rows.filter((row) => isAside[row]),
  };
}

/** Deals rows into parts at random, each label evenly, and sets each part aside once; all keep the order of the rows. */
export function foldsByLabel(labels: ArrayLike<unknown>, parts: number, random: Random): RowSplit[] {
  const rows = Uint32Array.from({ length: labels.length }, (_, row) => row);
  const partOf = new Uint8Array(labels.length);
  let dealt = 0;
  for (const group of Map.groupBy(rows, (row) => labels[row]).values()) {
    for (const row of random.shuffle(group)) partOf[row] = dealt++ % parts;
  }
  return Array.from({ length: parts }, (_, part) => ({
    training: rows.filter((row) => partOf[row] !== part),
    validation: rows.filter((row) => partOf[row] === part),
  }));
}

/** Divides `count` in proportion to `sizes` by largest remainder (Hamilton), leaving at least one of each size. */
function apportion(sizes: readonly number[], count: number): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const exact = sizes.map((size) => (total === 0 ? 0 : (count * size) / total));
  const shares = exact.map((share, i) => Math.min(Math.floor(share), sizes[i]! - 1));
  const remainder = (i: number) => exact[i]! - Math.floor(exact[i]!);
  const order = sizes.map((_, i) => i).sort((a, b) => remainder(b) - remainder(a) || a - b);
  let left = Math.min(count, total) - exact.reduce((sum, share) => sum + Math.floor(share), 0);
  for (const i of order) {
    if (left <= 0) break;
    if (shares[i]! + 1 >= sizes[i]!) continue;
    shares[i]! += 1;
    left--;
  }
  return shares;
}

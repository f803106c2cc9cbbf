import { createHash } from 'node:crypto';
import { MAX_LABELS } from '../../shared/api/rows.ts';
import { AppError } from '../../shared/errors.ts';
import { readExamples } from './dataset.ts';
import type { TokenFile } from './token-file.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A dataset in the form that training needs: the ids of its texts are in a token file, and each row takes some 22 bytes of memory. */
export interface TokenizedDataset {
  /** Labels in the order of their first rows. */
  readonly labelNames: readonly string[];
  /** Label of each row, as an index into `labelNames`. */
  readonly labels: Uint16Array;
  /** Number of tokens of each row, special ones included. */
  readonly lengths: Uint16Array;
  /** Place of each row's first id in the token file. */
  readonly offsets: Float64Array;
  /** Hash of each row's text: 53 bits. */
  readonly hashes: Float64Array;
  /** Number of rows whose text is longer than `maxLength`. */
  readonly truncated: number;
}

export interface TokenizeOptions {
  readonly tokenizer: Tokenizer;
  /** Length in tokens at which a text is cut. */
  readonly maxLength: number;
  /** The file that receives the ids. */
  readonly tokens: TokenFile;
  /** A signal that is checked between two rows. */
  readonly signal: AbortSignal;
}

/**
 * Tokenizes a dataset in one pass over its file; no text is kept.
 * @throws {AppError} `invalid_dataset` with the line's number; the signal's reason where it is aborted
 */
export async function tokenizeDataset(path: string, options: TokenizeOptions): Promise<TokenizedDataset> {
  const { tokenizer, maxLength, tokens, signal } = options;
  const labelNumbers = new Map<string, number>();
  const labels: number[] = [];
  const lengths: number[] = [];
  const hashes: number[] = [];
  const first = tokens.length;
  let truncated = 0;
  for await (const { text, label } of readExamples(path)) {
    signal.throwIfAborted();
    const encoded = tokenizer.encode(text, maxLength);
    tokens.append(encoded.ids);
    lengths.push(encoded.ids.length);
    labels.push(numberOf(label, labelNumbers));
    hashes.push(hash53(text));
    if (encoded.truncated) truncated++;
  }
  tokens.flush();
  return {
    labelNames: [...labelNumbers.keys()],
    labels: Uint16Array.from(labels),
    lengths: Uint16Array.from(lengths),
    offsets: offsetsOf(lengths, first),
    hashes: Float64Array.from(hashes),
    truncated,
  };
}

function numberOf(label: string, numbers: Map<string, number>): number {
  const known = numbers.get(label);
  if (known !== undefined) return known;
  if (numbers.size === MAX_LABELS) {
    throw new AppError('invalid_dataset', `the dataset has more than ${MAX_LABELS} labels`);
  }
  numbers.set(label, numbers.size);
  return numbers.size - 1;
}

function offsetsOf(lengths: readonly number[], first: number): Float64Array {
  let next = first;
  return Float64Array.from(lengths, (length) => {
    next += length;
    return next - length;
  });
}

/** The first 53 bits of a text's SHA-1. Of a million texts two share them in 1 of 18,000 datasets. */
function hash53(text: string): number {
  const digest = createHash('sha1').update(text).digest();
  return digest.readUInt32BE(0) * 2 ** 21 + (digest.readUInt32BE(4) >>> 11);
}

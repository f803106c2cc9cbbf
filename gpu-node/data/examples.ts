import { withPlaceholders } from './placeholders.ts';
import type { TokenFile } from './token-file.ts';
import type { TokenizedDataset } from './tokenized-dataset.ts';

/** A tokenized text; `label` is an index into the labels in their final order. */
export interface TokenizedText {
  readonly ids: Int32Array;
  readonly label: number;
}

/** Examples to train or validate on: each one's length and label, and on demand the ids of a few. */
export interface Examples {
  readonly lengths: ArrayLike<number>;
  readonly labels: ArrayLike<number>;
  read(numbers: readonly number[]): readonly TokenizedText[];
}

export interface StoredExamplesOptions {
  readonly dataset: TokenizedDataset;
  readonly tokens: TokenFile;
  /** Numbers of the dataset's rows that belong to these examples. */
  readonly rows: Uint32Array;
  /** All labels, in the order of the classifier's rows. */
  readonly labels: readonly string[];
  /** Number of placeholders before every text; they count as tokens. */
  readonly placeholders: number;
  /** Length to which longer texts are cut, in tokens without placeholders, and the special tokens that stay at their end. */
  readonly maxLength: number;
  readonly suffix: readonly number[];
}

/** Rows of a dataset whose ids lie in a token file. */
export class StoredExamples implements Examples {
  readonly lengths: Uint16Array;
  readonly labels: Uint16Array;
  readonly #offsets: Float64Array;
  readonly #tokens: TokenFile;
  readonly #suffix: readonly number[];
  readonly #placeholders: number;

  constructor(options: StoredExamplesOptions) {
    const { dataset, rows, tokens, labels, placeholders, maxLength, suffix } = options;
    const order = dataset.labelNames.map((name) => labels.indexOf(name));
    this.lengths = Uint16Array.from(rows, (row) => placeholders + Math.min(dataset.lengths[row]!, maxLength));
    this.labels = Uint16Array.from(rows, (row) => order[dataset.labels[row]!]!);
    this.#offsets = Float64Array.from(rows, (row) => dataset.offsets[row]!);
    this.#tokens = tokens;
    this.#suffix = suffix;
    this.#placeholders = placeholders;
  }

  read(numbers: readonly number[]): TokenizedText[] {
    return numbers.map((number) => ({ ids: this.#ids(number), label: this.labels[number]! }));
  }

  #ids(number: number): Int32Array {
    const length = this.lengths[number]! - this.#placeholders;
    const ids = this.#tokens.read(this.#offsets[number]!, length);
    // An uncut text ends with these ids anyway.
    ids.set(this.#suffix, length - this.#suffix.length);
    return withPlaceholders(this.#placeholders, ids);
  }
}

/** Hash and label of each row in a part of the data; `labels` are indices below 1024, the same for every part. */
export interface HashedRows {
  readonly hashes: Float64Array;
  readonly labels: ArrayLike<number>;
}

export interface Repeats {
  /** Number of validation rows whose text is also trained on. */
  readonly leaked: number;
  /** Number of texts with more than one label, and of the rows that hold them. */
  readonly contradicting: { readonly texts: number; readonly rows: number };
}

const LABEL_BITS = 10;
const IS_VALIDATION = 1;

/**
 * Finds texts that occur more than once, by their hashes. Each row becomes one 64-bit key, with hash before label before part, so that
 * sorting the keys brings equal texts together: 8 bytes per row.
 */
export function findRepeats(training: HashedRows, validation: HashedRows): Repeats {
  const keys = new BigUint64Array(training.hashes.length + validation.hashes.length);
  const words = new Uint32Array(keys.buffer);
  let row = 0;
  for (const [part, { hashes, labels }] of [training, validation].entries()) {
    for (let i = 0; i < hashes.length; i++, row++) {
      words[2 * row] = (hashes[i]! % 2 ** 21) * 2 ** (LABEL_BITS + 1) + labels[i]! * 2 + part;
      words[2 * row + 1] = Math.floor(hashes[i]! / 2 ** 21);
    }
  }
  keys.sort();
  let leaked = 0;
  const contradicting = { texts: 0, rows: 0 };
  for (let begin = 0; begin < keys.length; ) {
    const text = textAt(words, begin);
    let end = begin + 1;
    while (end < keys.length && textAt(words, end) === text) end++;
    const [first, last] = [words[2 * begin]!, words[2 * end - 2]!];
    let validationRows = 0;
    for (let i = begin; i < end; i++) validationRows += words[2 * i]! & IS_VALIDATION;
    if (validationRows < end - begin) leaked += validationRows;
    if (first >>> 1 !== last >>> 1) {
      contradicting.texts++;
      contradicting.rows += end - begin;
    }
    begin = end;
  }
  return { leaked, contradicting };
}

/** The hash of a key's text. */
function textAt(words: Uint32Array, key: number): number {
  return words[2 * key + 1]! * 2 ** 21 + (words[2 * key]! >>> (LABEL_BITS + 1));
}

import { type DatasetReport, MAX_SHOWN } from '../api/dataset-report.ts';

/** Buckets of an octave: lengths in one bucket differ by at most 5 %. */
const PER_OCTAVE = 16;
/** Buckets up to 2^20 characters, more than a text may have. */
const BUCKETS = 20 * PER_OCTAVE + 1;
/** Fewer rows have no usual length. */
const MIN_ROWS = 20;
/** Texts of nearly one length are unusual from half an octave's quartiles on, beyond some three times the length of others. */
const MIN_SPREAD = PER_OCTAVE / 2;
/** Tukey's factor for values that are far out (Exploratory Data Analysis, 1977, section 2D). */
const FAR_OUT = 3;

interface Row {
  line: number;
  length: number;
}

/** Lengths of texts: a histogram of their logarithms, and the few that are longest and shortest. Memory does not depend on the rows. */
export class Lengths {
  #rows = 0;
  readonly #histogram = new Uint32Array(BUCKETS);
  readonly #shortest: Row[] = [];
  readonly #longest: Row[] = [];

  add(length: number, line: number): void {
    this.#rows += 1;
    this.#histogram[bucketOf(length)]! += 1;
    insert(this.#shortest, line, length, 1);
    insert(this.#longest, line, length, -1);
  }

  report(): DatasetReport['lengths'] {
    const [low, middle, high] = [this.#quantile(0.25), this.#quantile(0.5), this.#quantile(0.75)];
    const reach = FAR_OUT * Math.max(high - low, MIN_SPREAD);
    const isKnown = this.#rows >= MIN_ROWS;
    const below = isKnown ? Math.max(0, low - reach) : 0;
    const above = isKnown ? Math.min(BUCKETS, high + reach) : BUCKETS;
    return {
      shortest: this.#shortest[0]?.length ?? 0,
      median: startOf(middle),
      longest: this.#longest[0]?.length ?? 0,
      unusually_short: {
        below: isKnown ? startOf(below) : null,
        ...this.#beyond(this.#shortest, (bucket) => bucket < below),
      },
      unusually_long: {
        above: isKnown ? startOf(above + 1) - 1 : null,
        ...this.#beyond(this.#longest, (bucket) => bucket > above),
      },
    };
  }

  /** Rows whose bucket is beyond a fence: all in number, and the lines of the farthest. */
  #beyond(
    farthest: readonly Row[],
    isBeyond: (bucket: number) => boolean,
  ): { rows: number; lines: number[] } {
    const rows = this.#histogram.reduce((sum, count, bucket) => sum + (isBeyond(bucket) ? count : 0), 0);
    const lines = farthest.filter(({ length }) => isBeyond(bucketOf(length))).map(({ line }) => line);
    return { rows, lines: lines.sort((a, b) => a - b) };
  }

  /** The bucket of the row at this share of all. */
  #quantile(share: number): number {
    let passed = 0;
    for (const [bucket, count] of this.#histogram.entries()) {
      passed += count;
      if (passed > 0 && passed >= share * this.#rows) return bucket;
    }
    return 0;
  }
}

function bucketOf(length: number): number {
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(Math.max(1, length)) * PER_OCTAVE));
}

/** The least length of a bucket. */
function startOf(bucket: number): number {
  return Math.ceil(2 ** (bucket / PER_OCTAVE) - 1e-9);
}

/** Puts a row into a short list, ascending or descending by length, if it belongs there; of equal ones the first stay. */
function insert(rows: Row[], line: number, length: number, sign: 1 | -1): void {
  const isBefore = (other: Row) => sign * (length - other.length) < 0;
  if (rows.length === MAX_SHOWN && !isBefore(rows.at(-1)!)) return;
  const at = rows.findIndex(isBefore);
  rows.splice(at < 0 ? rows.length : at, 0, { line, length });
  if (rows.length > MAX_SHOWN) rows.pop();
}

import type { InputRange } from './precision.ts';

const BINS = 2048;
/** Steps of the unsigned 8 bits to which an input is rounded. */
const STEPS = 255;
/** Ratio of neighbouring candidates for either end of the range. */
const SHRINK = 0.95;
const CANDIDATES = 48;

/** A histogram of a stream of elements, with bins of equal width between ends that are known beforehand. */
export class ValueHistogram {
  readonly low: number;
  readonly high: number;
  readonly counts = new Float64Array(BINS);

  /** @param low at most 0 @param high above 0 */
  constructor(low: number, high: number) {
    this.low = low;
    this.high = high;
  }

  add(elements: Float32Array): void {
    const scale = BINS / (this.high - this.low);
    for (let i = 0; i < elements.length; i++) {
      const bin = Math.floor((elements[i]! - this.low) * scale);
      this.counts[Math.max(0, Math.min(BINS - 1, bin))]! += 1;
    }
  }

  centre(bin: number): number {
    return this.low + ((bin + 0.5) * (this.high - this.low)) / BINS;
  }
}

/**
 * The range whose rounding to 8 bits has the least mean square error: a few outliers are cut if that makes all other steps finer (OMSE,
 * Choukroun et al. 2019, arXiv:1902.06822, with either end free). Zero is one of the steps.
 */
export function bestRange(histogram: ValueHistogram): InputRange {
  const ends = (end: number) =>
    end === 0 ? [0] : Array.from({ length: CANDIDATES }, (_, i) => end * SHRINK ** i);
  const below = tails(histogram, -1);
  const above = tails(histogram, 1);
  let best = { error: Number.POSITIVE_INFINITY, low: 0, high: 0 };
  for (const low of ends(histogram.low)) {
    for (const high of ends(histogram.high)) {
      const step = (high - low) / STEPS;
      const error = below(low) + above(high) + (step * step) / 12;
      if (error < best.error) best = { error, low, high };
    }
  }
  const scale = (best.high - best.low) / STEPS;
  return { scale: Math.fround(scale), zeroPoint: Math.round(Math.abs(best.low) / scale) };
}

/** The mean square error of cutting the elements beyond an end, for `side` -1 below and 1 above. */
function tails(histogram: ValueHistogram, side: -1 | 1): (end: number) => number {
  const total = histogram.counts.reduce((sum, count) => sum + count, 0);
  return (end) => {
    let sum = 0;
    for (let bin = 0; bin < BINS; bin++) {
      const excess = side * (histogram.centre(bin) - end);
      if (excess > 0) sum += histogram.counts[bin]! * excess * excess;
    }
    return sum / total;
  };
}

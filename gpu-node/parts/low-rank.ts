import { fillTransposed, linearPart, type PartNumbers, SIZE, stackOf } from './part.ts';

/** A is held transposed, `[in, rank]`, and s·B transposed, `[rank, out]`; ranks below the stack's are padded with zeros. */
export const lowRank = linearPart({
  stacks: ({ name, inFeatures, outFeatures }) => [
    stackOf(name, 'a', [inFeatures, SIZE]),
    stackOf(name, 'b', [SIZE, outFeatures]),
  ],
  change: ({ name }, rowsOf) => ({ lowRank: { a: rowsOf(name, 'a'), b: rowsOf(name, 'b'), scaling: 1 } }),
});

/** The two factors of one layer. */
export interface Factors {
  readonly r: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly scaling: number;
  /** A `[r, in]`. */
  a(): Float32Array;
  /** B `[out, r]`. */
  b(): Float32Array;
}

/** Factors by the name of their layer, read each time that a slot is filled. */
export function lowRankNumbers(factors: ReadonlyMap<string, Factors>): PartNumbers {
  return {
    size: Math.max(...[...factors.values()].map(({ r }) => r)),
    fill: ({ place, tensor }, size, slot) => {
      const layer = factors.get(place);
      if (!layer) return;
      const { r, inFeatures, outFeatures, scaling } = layer;
      if (tensor === 'a') fillTransposed(layer.a(), inFeatures, size, slot);
      else fillTransposed(layer.b(), r, outFeatures, slot, scaling);
    },
  };
}

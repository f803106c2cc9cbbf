import { add } from '../ops/index.ts';
import { linearPart, type PartNumbers, stackOf } from './part.ts';

/** A layer's output times a gain, and a shift of it, each `[out]`. The gain is held less 1, as growth, so that zeros change nothing. */
export const scale = linearPart({
  stacks: ({ name, outFeatures }) => [
    stackOf(name, 'growth', [outFeatures]),
    stackOf(name, 'shift', [outFeatures]),
  ],
  change: ({ name }, rowsOf) => ({ gain: add(rowsOf(name, 'growth'), 1), shift: rowsOf(name, 'shift') }),
});

/** What goes into a layer times a vector `[in]`, which is held less 1, as excess. */
export const reach = linearPart({
  stacks: ({ name, inFeatures }) => [stackOf(name, 'excess', [inFeatures])],
  change: ({ name }, rowsOf) => ({ reach: add(rowsOf(name, 'excess'), 1) }),
});

/** The vectors of one layer by the names of a part's tensors; one that is absent is zeros. */
export type Vectors = Readonly<Record<string, Float32Array>>;

/** Vectors by the name of their layer, of a part whose stacks have no size of their own. */
export function vectorNumbers(vectors: ReadonlyMap<string, Vectors>): PartNumbers {
  return {
    size: 0,
    fill: ({ place, tensor }, _size, slot) => {
      const vector = vectors.get(place)?.[tensor];
      if (vector) slot.set(vector);
    },
  };
}

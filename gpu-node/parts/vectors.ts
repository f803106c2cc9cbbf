import { add } from '../ops/index.ts';
import { linearPart, type Part, type PartNumbers, stackOf } from './part.ts';

/** What a layer gives times a gain `[out]`, which is held less 1, as growth, so that zeros change nothing. */
export const gain = linearPart({
  stacks: ({ name, outFeatures }) => [stackOf(name, 'growth', [outFeatures])],
  change: ({ name }, rowsOf) => ({ gain: add(rowsOf(name, 'growth'), 1) }),
});

/** What is added to what a layer gives, `[out]`. */
export const shift = linearPart({
  stacks: ({ name, outFeatures }) => [stackOf(name, 'shift', [outFeatures])],
  change: ({ name }, rowsOf) => ({ shift: rowsOf(name, 'shift') }),
});

/** What is added to what a norm gives, `[hidden]`. */
export const normShift: Part = {
  places: ({ norms }) => norms,
  stacks: (places, { norms, hiddenSize }) =>
    norms.filter((name) => places.has(name)).map((name) => stackOf(name, 'shift', [hiddenSize])),
  sites: (places, rowsOf) => ({
    norm: ({ name }) => (places.has(name) ? { shift: rowsOf(name, 'shift') } : undefined),
  }),
  unmergeable: null,
};

/** What goes into a layer times a vector `[in]`, which is held less 1, as excess. */
export const reach = linearPart({
  stacks: ({ name, inFeatures }) => [stackOf(name, 'excess', [inFeatures])],
  change: ({ name }, rowsOf) => ({ reach: add(rowsOf(name, 'excess'), 1) }),
});

/** The vectors of one place by the names of a part's tensors; one that is absent is zeros. */
export type Vectors = Readonly<Record<string, Float32Array>>;

/** Vectors by the name of their place, of a part whose stacks have no size of their own. */
export function vectorNumbers(vectors: ReadonlyMap<string, Vectors>): PartNumbers {
  return {
    size: 0,
    fill: ({ place, tensor }, _size, slot) => {
      const vector = vectors.get(place)?.[tensor];
      if (vector) slot.set(vector);
    },
  };
}

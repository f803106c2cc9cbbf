import { add } from '../ops/index.ts';
import { type LinearPart, type PartNumbers, stackOf } from './part.ts';

/** A layer's output times a gain, and a shift of it, each `[out]`. The gain is held less 1, so that zeros change nothing. */
export const scale: LinearPart = {
  stacks: ({ name, outFeatures }) => [
    stackOf(name, 'growth', [outFeatures]),
    stackOf(name, 'shift', [outFeatures]),
  ],
  change: ({ name }, rowsOf) => ({ gain: add(rowsOf(name, 'growth'), 1), shift: rowsOf(name, 'shift') }),
};

/** The two vectors of one layer, `[out]` each; growth is gain - 1. */
export interface Scale {
  readonly growth: Float32Array;
  readonly shift: Float32Array;
}

/** Scales by the name of their layer. */
export function scaleNumbers(scales: ReadonlyMap<string, Scale>): PartNumbers {
  return {
    size: 0,
    fill: ({ place, tensor }, _size, slot) => {
      const layer = scales.get(place);
      if (layer) slot.set(tensor === 'growth' ? layer.growth : layer.shift);
    },
  };
}

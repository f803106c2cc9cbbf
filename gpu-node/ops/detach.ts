import type { Value } from '../graph/ir.ts';
import { defineOp, emit } from './op.ts';

export const detachOp = defineOp({
  type: 'Identity',
  infer: (inputs) => [inputs[0]!],
  gradient: () => [undefined],
  // The sample has integers, because the tests take no differences of them: a float's numeric gradient is not the zero that detaching
  // gives.
  samples: [{ inputs: [{ dtype: 'int32', shape: ['batch', 2] }], sizes: { batch: 3 }, build: detach }],
});

/** The same value as a constant for the gradient. It costs nothing: the runtime leaves it out. */
export function detach(x: Value): Value {
  return emit(detachOp, [x], {});
}

import type { Value } from '../graph/ir.ts';
import { defineOp, emit } from './op.ts';

export const detachOp = defineOp({
  type: 'Identity',
  infer: (inputs) => [inputs[0]!],
  gradient: () => [undefined],
  // Of integers, whose differences nobody takes: those of numbers are not zero, as the gradient says they are.
  samples: [{ inputs: [{ dtype: 'int32', shape: ['batch', 2] }], sizes: { batch: 3 }, build: detach }],
});

/** The same value, which the gradient takes for a constant. It costs nothing: the runtime leaves it out. */
export function detach(x: Value): Value {
  return emit(detachOp, [x], {});
}

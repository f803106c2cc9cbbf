import { float, type Value } from '../graph/ir.ts';
import { greater } from './greater.ts';
import { mul } from './mul.ts';
import { defineOp, emit, floatUnary } from './op.ts';
import { where } from './where.ts';

type HardSigmoidAttributes = {
  readonly alpha: { readonly float: number };
  readonly beta: { readonly float: number };
};

export const hardSigmoidOp = defineOp<HardSigmoidAttributes>({
  type: 'HardSigmoid',
  infer: floatUnary,
  gradient: ({ grad, outputs: [y], attributes: { alpha } }) => {
    const inside = where(greater(y!, 0), where(greater(1, y!), grad, 0), 0);
    return [mul(inside, alpha.float)];
  },
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: [2, 3], values: [-3, -0.8, 0.1, 0.7, 1.4, 2.5] }],
      build: (x) => hardSigmoid(x!, 0.4, 0.5),
    },
  ],
});

/** `alpha * x + beta`, cut to [0, 1], in one pass. */
export function hardSigmoid(x: Value, alpha: number, beta: number): Value {
  return emit(hardSigmoidOp, [x], { alpha: float(alpha), beta: float(beta) });
}

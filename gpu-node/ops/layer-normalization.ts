import { float, type GradientContext, type TensorType, type Value } from '../graph/ir.ts';
import { FLOATS, reject, requireDType, sameShape } from '../graph/shapes.ts';
import { mul } from './mul.ts';
import { defineOp, emit } from './op.ts';
import { reduceMean } from './reduce-mean.ts';
import { sub } from './sub.ts';

type LayerNormAttributes = { readonly axis: -1; readonly epsilon: { readonly float: number } };

function infer(inputs: readonly Value[]): readonly TensorType[] {
  const [x, scale, bias] = inputs as [Value, Value, Value];
  requireDType(0, x, FLOATS);
  const width = x.shape.at(-1);
  if (width === undefined) reject(0, x, 'it needs an axis to normalize');
  for (const [i, parameter] of [scale, bias].entries()) {
    if (!sameShape(parameter.shape, [width])) reject(i + 1, parameter, `its shape must be [${width}]`);
    requireDType(i + 1, parameter, [x.dtype]);
  }
  const statistic = { dtype: x.dtype, shape: [...x.shape.slice(0, -1), 1] };
  return [x, statistic, statistic];
}

/** Gradients of y = n * scale + bias with n = (x - mean) * s (Ba, Kiros and Hinton, https://arxiv.org/abs/1607.06450). */
function gradient({ inputs, outputs, grad, grads, needs }: GradientContext<LayerNormAttributes>) {
  if (grads[1] || grads[2]) throw new Error('LayerNormalization: its statistics are not differentiable');
  const [x, scale] = inputs as [Value, Value];
  const [, mean, s] = outputs as [Value, Value, Value];
  return [
    needs(0) ? inputGradient(mul(grad, scale), x, mean, s) : undefined,
    needs(1) ? mul(grad, mul(sub(x, mean), s)) : undefined,
    needs(2) ? grad : undefined,
  ];
}

/**
 * dx = s * (h - mean(h) - n * mean(h * n)) with h = dy * scale, in few passes over the tensor. n itself is never formed: n * mean(h * n) =
 * (x - mean) * k with k = s * s * (mean(h * x) - mean(h) * mean), one number per row.
 */
function inputGradient(h: Value, x: Value, mean: Value, s: Value): Value {
  const meanH = reduceMean(h, [-1]);
  const k = mul(mul(s, s), sub(reduceMean(mul(h, x), [-1]), mul(meanH, mean)));
  return mul(sub(sub(h, mul(x, k)), sub(meanH, mul(mean, k))), s);
}

export const layerNormalizationOp = defineOp<LayerNormAttributes>({
  type: 'LayerNormalization',
  infer,
  gradient,
  samples: [
    {
      inputs: [
        { dtype: 'float32', shape: ['batch', 2, 4], range: [-2, 2] },
        { dtype: 'float32', shape: [4], range: [0.5, 1.5] },
        { dtype: 'float32', shape: [4] },
      ],
      sizes: { batch: 2 },
      build: (x, scale, bias) => layerNormalization(x!, scale!, bias!, 1e-5),
    },
  ],
});

/** Normalizes the last axis to mean 0 and variance 1, then scales and shifts; `scale` and `bias` are [width]. */
export function layerNormalization(x: Value, scale: Value, bias: Value, epsilon: number): Value {
  return emit(layerNormalizationOp, [x, scale, bias], { axis: -1, epsilon: float(epsilon) });
}

import type { Value } from '../graph/ir.ts';
import { formatType, ShapeError } from '../graph/shapes.ts';
import { cast } from './cast.ts';
import { div } from './div.ts';
import { equal } from './equal.ts';
import { logSoftmax } from './log-softmax.ts';
import { mul } from './mul.ts';
import { neg } from './neg.ts';
import { reduceSum } from './reduce-sum.ts';
import { unsqueeze } from './unsqueeze.ts';

/**
 * Cross-entropy of `logits` [batch, classes] against `labels` int32 [batch], a scalar: `sum(w[y] * -log softmax(logits)[y]) / sum(w[y])`,
 * the mean of torch's `CrossEntropyLoss(weight)`.
 * `weights` is [classes], by default all 1. A label that is no class, such as -100, is left out of both sums, so padding rows have no
 * effect. The formula uses only operators that every execution provider has.
 */
export function crossEntropy(logits: Value, labels: Value, weights?: Value): Value {
  const [batch, classes] = logits.shape;
  if (logits.shape.length !== 2 || typeof classes !== 'number') {
    throw new ShapeError(`crossEntropy: logits are ${formatType(logits)}, not [batch, number of classes]`);
  }
  if (labels.dtype !== 'int32' || labels.shape.length !== 1 || labels.shape[0] !== batch) {
    throw new ShapeError(`crossEntropy: labels are ${formatType(labels)}, not int32[${batch}]`);
  }
  const each = logits.graph.constant(
    'int32',
    [classes],
    Int32Array.from({ length: classes }, (_, i) => i),
  );
  const oneHot = cast(equal(unsqueeze(labels, [1]), each), logits.dtype);
  const target = weights ? mul(oneHot, weights) : oneHot;
  const all = { keepDims: false };
  const loss = neg(reduceSum(mul(target, logSoftmax(logits)), [0, 1], all));
  return div(loss, reduceSum(target, [0, 1], all));
}

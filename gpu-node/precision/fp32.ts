import type { Graph } from '../graph/builder.ts';
import type { Dim, Value } from '../graph/ir.ts';
import { transposeMatrix } from '../graph/weight-file.ts';
import { asMatrix, concat, expand, gather, gemm, linear, matMul, reshape } from '../ops/index.ts';
import type { FrozenLinear, Precision, WeightSpec } from './precision.ts';

/** The base model's own numbers. Matrices are stored transposed, `[in, out]`, so that the forward pass is a plain product. */
export const fp32: Precision = {
  layout: 'fp32-1',
  calibrated: false,
  stored: (spec) => [
    { name: spec.name, dtype: 'float32', shape: isMatrix(spec) ? spec.shape.toReversed() : spec.shape },
  ],
  store: (spec, data) => [isMatrix(spec) ? transposeMatrix(data, spec.shape[0]!, spec.shape[1]!) : data],
  open: async ({ tensors }) => ({
    tensors,
    plain: (graph, name) => graph.weight(tensors[name]!),
    linear: (graph, name) =>
      frozenLinear(graph, graph.weight(tensors[`${name}.weight`]!), graph.weight(tensors[`${name}.bias`]!)),
    rows: (table, ids) => gather(ids.graph.weight(tensors[table]!), ids),
  }),
};

export function isMatrix({ role }: WeightSpec): boolean {
  return role === 'matrix' || role === 'pooled-matrix';
}

/** A linear layer of a float32 matrix `[in, out]` and bias `[out]`. */
export function frozenLinear(graph: Graph, weight: Value, bias: Value): FrozenLinear {
  return {
    inFeatures: weight.shape[0] as number,
    outFeatures: weight.shape[1] as number,
    bias,
    apply: (x) => linear(x, weight, bias),
    applyWithChange: (x, low, up) => {
      const change = changeAndBias(graph, low, up, bias);
      return reshape(gemm(asMatrix(x), weight, asMatrix(change)), change.shape);
    },
    matrix: () => weight,
  };
}

/**
 * low·up + b, from which a product may start so that adding it takes no pass of its own. The bias is a last row of `up` that meets a column
 * of ones.
 */
export function changeAndBias(graph: Graph, low: Value, up: Value, bias: Value): Value {
  const [batch, tokens] = low.shape as [Dim, Dim];
  const ones = expand(graph.scalar(1, low.dtype), [batch, tokens, 1]);
  const biasRow = expand(bias, [batch, 1, bias.shape[0]!]);
  return matMul(concat([low, ones], 2), concat([up, biasRow], 1));
}

import type { Graph } from '../graph/builder.ts';
import { elementCount } from '../graph/shapes.ts';
import type { StoredTensor, WeightFile } from '../graph/weight-file.ts';
import { add, dequantize, matMulBnb4, NF4_BLOCK, swapLastAxes } from '../ops/index.ts';
import { changeAndBias, fp32, isMatrix } from './fp32.ts';
import { dequantizeAbsmax, quantizeAbsmax, quantizeNf4 } from './nf4-quantize.ts';
import type { BaseWeights, FrozenLinear, Precision, WeightSpec } from './precision.ts';
import { quantizeTable, storedTable, tableRows } from './table.ts';

/** Name of the codes in the weight file for a matrix `<layer>.weight`, `[out, in]`. */
const codesOf = (weight: string) => `${weight}.nf4`;
const absmaxOf = (weight: string) => `${weight}.absmax`;

/**
 * QLoRA's base (Dettmers et al. 2023, arXiv:2305.14314): the matrices of linear layers, including the pooler's, have 4 bits per element and
 * a scale for every 64 elements. The scales go through double quantization, so that a base equals bitsandbytes's, but are stored as the
 * float32 that onnxruntime reads. That makes 4.5 bits per element, on disk and in memory. Products run in float32; a matrix is unpacked for
 * each product that needs it, forward and backward.
 */
export const nf4: Precision = {
  layout: 'nf4-1',
  calibrated: false,
  stored: (spec) => {
    if (spec.role === 'table') return storedTable(spec);
    return isMatrix(spec) ? storedMatrix(spec) : fp32.stored(spec);
  },
  store: (spec, data, ranges) => {
    if (spec.role === 'table') return quantizeTable(spec, data);
    return isMatrix(spec) ? quantizeMatrix(spec, data) : fp32.store(spec, data, ranges);
  },
  open: async (file) => openWeights(file),
};

function storedMatrix({ name, shape }: WeightSpec): ReturnType<Precision['stored']> {
  const count = elementCount(shape);
  return [
    { name: codesOf(name), dtype: 'uint8', shape: [Math.ceil(count / 2)] },
    { name: absmaxOf(name), dtype: 'float32', shape: [Math.ceil(count / NF4_BLOCK)] },
  ];
}

function quantizeMatrix({ name }: WeightSpec, data: Float32Array): ReturnType<Precision['store']> {
  const { codes, absmax } = quantizeNf4(data);
  if (!absmax.every(Number.isFinite)) throw new Error(`${name} has elements that are not finite`);
  return [codes, dequantizeAbsmax(quantizeAbsmax(absmax))];
}

function openWeights({ tensors }: WeightFile): BaseWeights {
  return {
    tensors,
    plain: (graph, name) => graph.weight(tensors[name]!),
    linear: (graph, name) => nf4Linear(graph, name, tensors),
    rows: (table, ids) => tableRows(tensors, table, ids),
  };
}

function nf4Linear(
  graph: Graph,
  name: string,
  tensors: Readonly<Record<string, StoredTensor>>,
): FrozenLinear {
  const tensor = (stored: string) => graph.weight(tensors[stored]!);
  const weight = `${name}.weight`;
  const bias = tensor(`${name}.bias`);
  const matrix = {
    codes: tensor(codesOf(weight)),
    absmax: tensor(absmaxOf(weight)),
    ...sizesOf(tensors[codesOf(weight)]!, tensors[`${name}.bias`]!),
  };
  return {
    inFeatures: matrix.inFeatures,
    outFeatures: matrix.outFeatures,
    bias,
    apply: (x) => add(matMulBnb4(x, matrix), bias),
    applyWithChange: (x, low, up) => add(matMulBnb4(x, matrix), changeAndBias(graph, low, up, bias)),
    matrix: () => swapLastAxes(dequantize(matrix)),
  };
}

/** Sizes of a matrix from its codes, two per byte. An odd number of elements leaves one code unused, which is less than a row. */
function sizesOf(codes: StoredTensor, bias: StoredTensor) {
  const outFeatures = bias.shape[0]!;
  return { outFeatures, inFeatures: Math.floor((2 * codes.length) / outFeatures) };
}

import { open } from 'node:fs/promises';
import type { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import { type StoredTensor, transposeMatrix, type WeightFile } from '../graph/weight-file.ts';
import {
  add,
  asMatrix,
  cast,
  dynamicQuantizeMatMul,
  matMul,
  matMulIntegerToFloat,
  mul,
  quantizeLinear,
  reshape,
} from '../ops/index.ts';
import type { WayBack } from '../ops/mat-mul-integer-to-float.ts';
import { fp32, frozenLinear } from './fp32.ts';
import type { BaseWeights, FrozenLinear, InputRange, Precision, WeightSpec } from './precision.ts';
import { quantizeTable, storedTable, tableRows } from './table.ts';

const LAYOUT = 1;

/** Names in the weight file for a matrix `<layer>.weight`, W `[in, out]`. */
const parts = (weight: string) => ({
  forward: `${weight}.int8`,
  forwardScales: `${weight}.scales`,
  backward: `${weight}.transposed.int8`,
  backwardScales: `${weight}.transposed.scales`,
  input: `${weight}.input`,
});

/**
 * Stores matrices as signed integers with a scale per column, and rounds activations to unsigned integers in a range that a calibration
 * fixed for each layer (Jacob et al. 2017, arXiv:1712.05877). Products run in integers, and a row's result depends on no other row.
 * The backward pass multiplies by a second copy, transposed and with scales of its own; there the range is that of the gradient's elements.
 * The pooler's product has one vector per text and stays float32.
 * @param bits of a stored weight: 8, or 7 where the CPU's products of 8 bits saturate
 */
export function int8(bits: 7 | 8): Precision {
  const levels = weightLevels(bits);
  return {
    layout: `int8-${bits}bit-${LAYOUT}`,
    calibrated: true,
    stored: (spec) => {
      if (spec.role === 'table') return storedTable(spec);
      return spec.role === 'matrix' ? storedMatrix(spec) : fp32.stored(spec);
    },
    store: (spec, data, ranges) => {
      if (spec.role === 'table') return quantizeTable(spec, data);
      if (spec.role !== 'matrix') return fp32.store(spec, data, ranges);
      const range = ranges.get(spec.name.replace(/\.weight$/, ''));
      if (!range) throw new Error(`${spec.name}: its inputs were not calibrated`);
      return quantizeMatrix(spec, data, levels, range);
    },
    open: (file) => openWeights(file),
  };
}

/** The largest magnitude of a stored weight. */
export function weightLevels(bits: 7 | 8): number {
  return 2 ** (bits - 1) - 1;
}

function storedMatrix({ name, shape: [out, inner] }: WeightSpec): ReturnType<Precision['stored']> {
  const { forward, forwardScales, backward, backwardScales, input } = parts(name);
  return [
    { name: forward, dtype: 'int8', shape: [inner!, out!] },
    { name: forwardScales, dtype: 'float32', shape: [out!] },
    { name: backward, dtype: 'int8', shape: [out!, inner!] },
    { name: backwardScales, dtype: 'float32', shape: [inner!] },
    { name: input, dtype: 'float32', shape: [2] },
  ];
}

/** Quantizes `data`, which is `[out, in]`. */
function quantizeMatrix(
  { shape: [out, inner] }: WeightSpec,
  data: Float32Array,
  levels: number,
  { scale, zeroPoint }: InputRange,
): ReturnType<Precision['store']> {
  const forward = quantizeColumns(transposeMatrix(data, out!, inner!), out!, levels);
  const backward = quantizeColumns(data, inner!, levels);
  return [
    forward.elements,
    forward.scales,
    backward.elements,
    backward.scales,
    Float32Array.of(scale, zeroPoint),
  ];
}

/** Quantizes a matrix with so many columns: integers of at most `levels` in magnitude, and a scale per column. */
export function quantizeColumns(
  data: Float32Array,
  columns: number,
  levels: number,
): { elements: Int8Array; scales: Float32Array } {
  const scales = new Float32Array(columns);
  for (let row = 0; row < data.length; row += columns) {
    for (let column = 0; column < columns; column++) {
      scales[column] = Math.max(scales[column]!, Math.abs(data[row + column]!));
    }
  }
  for (let column = 0; column < columns; column++) scales[column] = scales[column]! / levels || 1;
  const elements = new Int8Array(data.length);
  for (let row = 0; row < data.length; row += columns) {
    for (let column = 0; column < columns; column++) {
      elements[row + column] = Math.round(data[row + column]! / scales[column]!);
    }
  }
  return { elements, scales };
}

async function openWeights(file: WeightFile): Promise<BaseWeights> {
  const { tensors } = file;
  const ranges = await readRanges(file);
  const waysBack = new Map([...ranges.keys()].map((weight) => [weight, wayBack(tensors, weight)]));
  return {
    tensors,
    plain: (graph, name) => graph.weight(tensors[name]!),
    linear: (graph, name) => {
      const range = ranges.get(`${name}.weight`);
      const bias = graph.weight(tensors[`${name}.bias`]!);
      return range
        ? quantizedLinear(graph, tensors, `${name}.weight`, range, bias, waysBack.get(`${name}.weight`)!)
        : frozenLinear(graph, graph.weight(tensors[`${name}.weight`]!), bias);
    },
    rows: (table, ids) => tableRows(tensors, table, ids),
  };
}

/**
 * Reads the input ranges by the name of the matrix. They are plain numbers, so layers with equal ranges share one rounding of their input.
 */
async function readRanges({ path, tensors }: WeightFile): Promise<ReadonlyMap<string, InputRange>> {
  const ranges = new Map<string, InputRange>();
  const file = await open(path);
  try {
    for (const { name, offset } of Object.values(tensors)) {
      if (!name.endsWith('.weight.input')) continue;
      const elements = new Float32Array(2);
      await file.read(elements, 0, elements.byteLength, offset);
      ranges.set(name.replace(/\.input$/, ''), { scale: elements[0]!, zeroPoint: elements[1]! });
    }
  } finally {
    await file.close();
  }
  return ranges;
}

/** Multiplies a gradient by the second copy of a matrix. */
function wayBack(tensors: Readonly<Record<string, StoredTensor>>, weight: string): WayBack {
  const { backward, backwardScales } = parts(weight);
  return (grad) =>
    dynamicQuantizeMatMul(
      grad,
      grad.graph.weight(tensors[backward]!),
      grad.graph.weight(tensors[backwardScales]!),
    );
}

function quantizedLinear(
  graph: Graph,
  tensors: Readonly<Record<string, StoredTensor>>,
  weight: string,
  range: InputRange,
  bias: Value,
  backward: WayBack,
): FrozenLinear {
  const names = parts(weight);
  const tensor = (name: string) => graph.weight(tensors[name]!);
  const [inFeatures, outFeatures] = tensors[names.forward]!.shape as [number, number];
  const aScale = graph.scalar(range.scale);
  const aZeroPoint = graph.scalar(range.zeroPoint, 'uint8');
  const apply = (x: Value) => {
    const a = quantizeLinear(asMatrix(x), aScale, aZeroPoint);
    const [b, bScale] = [tensor(names.forward), tensor(names.forwardScales)];
    const y = matMulIntegerToFloat({ a, aScale, aZeroPoint, b, bScale, bias }, backward);
    return reshape(y, [...x.shape.slice(0, -1), outFeatures]);
  };
  return {
    inFeatures,
    outFeatures,
    bias,
    apply,
    applyWithChange: (x, low, up) => add(apply(x), matMul(low, up)),
    matrix: () => mul(cast(tensor(names.forward), 'float32'), tensor(names.forwardScales)),
  };
}

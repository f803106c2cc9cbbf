import type { Graph } from '../graph/builder.ts';
import type { Dim, Shape, Value } from '../graph/ir.ts';
import { ShapeError, symbolsOf, termsOf, toAxis } from '../graph/shapes.ts';
import { add } from './add.ts';
import { concat } from './concat.ts';
import { div } from './div.ts';
import { mul } from './mul.ts';
import { defineOp, emit } from './op.ts';

type ShapeAttributes = { readonly start: number; readonly end: number };

export const shapeOp = defineOp<ShapeAttributes>({
  type: 'Shape',
  infer: ([x], { start }) => {
    toAxis(start, x!.shape.length);
    return [{ dtype: 'int64', shape: [1] }];
  },
  gradient: { none: 'sizes are integers' },
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: ['batch', 3] }],
      sizes: { batch: 2 },
      build: (x) => sizeOf(x!.graph, 'batch'),
    },
    {
      name: 'of a sum',
      inputs: [{ dtype: 'float32', shape: ['batch', '2*seq'] }],
      sizes: { batch: 2, seq: 3 },
      build: (x) => sizeOf(x!.graph, '3*(batch+seq+8)'),
    },
  ],
});

/** The size of one dim as an int64 vector of one element, read from an input of the graph when it runs. */
export function sizeOf(graph: Graph, dim: Dim): Value {
  const symbols = symbolsOf(dim);
  const factor = Number(String(dim).split('*')[0]);
  const start = graph.constant('int64', [1], [Number.isInteger(factor) ? factor : 1]);
  return symbols.reduce((size, symbol) => {
    const one = sizeOfSymbol(graph, symbol);
    return size === start && (factor === 1 || !Number.isInteger(factor)) ? one : mul(size, one);
  }, start);
}

function sizeOfSymbol(graph: Graph, symbol: string): Value {
  const terms = termsOf(symbol);
  if (terms) return terms.map((term) => sizeOf(graph, term)).reduce((total, size) => add(total, size));
  const source = graph.symbolSource(symbol);
  if (!source) throw new ShapeError(`no input of graph ${graph.name} tells the size of ${symbol}`);
  const { value, axis, factor } = source;
  const read = emit(shapeOp, [value], { start: axis, end: axis + 1 });
  return factor === 1 ? read : div(read, graph.constant('int64', [1], [Number(factor)]));
}

/** A shape as an int64 vector: a constant if all sizes are known, else computed when the graph runs. */
export function shapeTensor(graph: Graph, shape: Shape): Value {
  if (shape.every((dim) => typeof dim === 'number')) return graph.constant('int64', [shape.length], shape);
  return concat(
    shape.map((dim) => sizeOf(graph, dim)),
    0,
  );
}

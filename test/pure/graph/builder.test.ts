import { describe, expect, test } from 'vitest';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import type { Value } from '../../../gpu-node/graph/ir.ts';
import { ShapeError } from '../../../gpu-node/graph/shapes.ts';
import {
  add,
  detach,
  gelu,
  matMul,
  matMulIntegerToFloat,
  reshape,
  sqrt,
} from '../../../gpu-node/ops/index.ts';
import { emit } from '../../../gpu-node/ops/op.ts';
import { sqrtOp } from '../../../gpu-node/ops/sqrt.ts';

describe('a graph under construction', () => {
  test('names the operator, its place, the operand and its type when shapes do not fit', () => {
    const graph = new Graph('g');
    const x = graph.input('x', 'float32', ['batch', 'seq', 384]);
    const a = graph.input('lora_A', 'float32', [768, 8]);
    const build = () => graph.scope('layer.4', () => graph.scope('query', () => matMul(x, a)));
    expect(build).toThrow(ShapeError);
    expect(build).toThrow(
      'layer.4/query/MatMul_1: operand 1 is float32[768, 8]: its second last axis must be 384, the last of ' +
        'operand 0 (operands 0: x float32[batch, seq, 384], 1: lora_A float32[768, 8])',
    );
  });

  test('leaves the scope when building fails inside it', () => {
    const graph = new Graph('g');
    const x = graph.input('x', 'float32', [2]);
    expect(() =>
      graph.scope('broken', () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(gelu(x).name).toBe('Gelu_0');
  });

  test('makes one node of the same operation written twice', () => {
    const graph = new Graph('g');
    const x = graph.input('x', 'float32', [2, 3]);
    expect(add(x, 0.5)).toBe(add(x, 0.5));
    expect(add(x, 0.5)).not.toBe(add(x, 0.25));
    expect(graph.nodes).toHaveLength(2);
  });

  test('keeps operators apart that differ in their gradient alone, whichever came first', () => {
    const x = new Graph('g').input('x', 'float32', [2]);
    const copy = { ...sqrtOp, gradient: () => [undefined] };
    const [first, copied] = [sqrt(x), emit(copy, [x], {})];
    expect(copied).not.toBe(first);
    expect([sqrt(x), emit(copy, [x], {})]).toEqual([first, copied]);
    expect(detach(x)).not.toBe(x);
    expect(detach(x)).toBe(detach(x));
  });

  test('makes one node of the same integer product with one way back, and two with two', () => {
    const graph = new Graph('g');
    const product = {
      a: graph.input('a', 'uint8', [2, 1]),
      aScale: graph.scalar(1),
      aZeroPoint: graph.scalar(0, 'uint8'),
      b: graph.constant('int8', [1, 1], [1]),
      bScale: graph.constant('float32', [1], [1]),
      bias: graph.constant('float32', [1], [0]),
    };
    const [one, other] = [(grad: Value) => grad, (grad: Value) => add(grad, 1)];
    expect(matMulIntegerToFloat(product, one)).toBe(matMulIntegerToFloat(product, one));
    expect(matMulIntegerToFloat(product, one)).not.toBe(matMulIntegerToFloat(product, other));
  });

  test('refuses a value of another graph', () => {
    const x = new Graph('a').input('x', 'float32', [2]);
    const y = new Graph('b').input('y', 'float32', [2]);
    expect(() => add(x, y)).toThrow('Add: operand 1 (y) is of another graph');
  });

  test('refuses a name that is taken', () => {
    const graph = new Graph('g');
    graph.input('x', 'float32', [2]);
    expect(() => graph.input('x', 'float32', [2])).toThrow('already has a value named x');
  });

  test('refuses constants that do not fit their type or shape', () => {
    const graph = new Graph('g');
    expect(() => graph.constant('float32', [3], [1, 2])).toThrow(
      'a constant float32[3] was given 2 elements',
    );
    expect(() => graph.constant('int32', [1], [0.5])).toThrow('0.5 is not a int32');
    expect(() => graph.constant('uint8', [1], [256])).toThrow('256 is not a uint8');
  });

  test('reshapes symbols without counting at run time where ONNX can copy or infer them', () => {
    const graph = new Graph('g');
    const x = graph.input('x', 'float32', ['batch', 'seq', 384]);
    const heads = reshape(x, ['batch', 'seq', 12, 32]);
    const rows = reshape(heads, ['seq*batch', 384]);
    expect(rows.shape).toEqual(['batch*seq', 384]);
    expect(graph.nodes.map((node) => node.op.type)).toEqual(['Reshape', 'Reshape']);
    const joined = graph.input('joined', 'float32', ['batch*seq', 384]);
    reshape(joined, ['batch', 'seq', 384]);
    expect(graph.nodes.map((node) => node.op.type)).toContain('Shape');
    expect(() => reshape(x, ['batch', 383])).toThrow('does not have as many elements as [batch, 383]');
  });

  test('makes one reshape of several, and none where the shape is the first again', () => {
    const graph = new Graph('g');
    const x = graph.input('x', 'float32', ['batch', 'seq', 384]);
    const rows = reshape(x, ['batch*seq', 384]);
    expect(reshape(rows, ['batch', 'seq', 384])).toBe(x);
    expect(reshape(rows, ['batch', 'seq', 12, 32])).toBe(reshape(x, ['batch', 'seq', 12, 32]));
  });
});

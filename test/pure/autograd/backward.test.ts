import { describe, expect, test } from 'vitest';
import { gradients } from '../../../gpu-node/autograd/backward.ts';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import type { Value } from '../../../gpu-node/graph/ir.ts';
import {
  add,
  detach,
  greater,
  matMul,
  mul,
  reduceSum,
  softmax,
  tanh,
  where,
} from '../../../gpu-node/ops/index.ts';

const total = (x: Value): Value => reduceSum(x, [...x.shape.keys()], { keepDims: false });

function backwardNodes(graph: Graph): string[] {
  return graph.nodes.flatMap((node) => (node.name.startsWith('backward/') ? [node.name] : []));
}

describe('the backward pass', () => {
  test('computes nothing for frozen weights, nor below the first trained one', () => {
    const graph = new Graph('two layers');
    const x = graph.input('x', 'float32', ['batch', 4]);
    const frozen = (name: string) => graph.input(name, 'float32', [4, 4]);
    const below = graph.scope('below', () => tanh(matMul(x, frozen('w0'))));
    const trained = graph.input('trained', 'float32', [4, 4]);
    const middle = graph.scope('middle', () => matMul(below, trained));
    const top = graph.scope('top', () => matMul(middle, frozen('w2')));
    const [grad] = gradients(total(top), [trained]);
    const nodes = backwardNodes(graph);
    expect(grad!.shape).toEqual([4, 4]);
    expect(nodes.filter((name) => name.startsWith('backward/below'))).toEqual([]);
    expect(nodes.filter((name) => name.startsWith('backward/top'))).toEqual([
      'backward/top/MatMul_0/Transpose_0',
      'backward/top/MatMul_0/MatMul_0',
    ]);
    expect(
      nodes.filter((name) => name.startsWith('backward/middle') && name.includes('/MatMul_0/MatMul')),
    ).toHaveLength(1);
  });

  test('adds up the ways on which a value reaches the loss', () => {
    const graph = new Graph('diamond');
    const x = graph.input('x', 'float32', [3]);
    const [grad] = gradients(total(add(tanh(x), mul(x, x))), [x]);
    expect(grad!.source).toMatchObject({ kind: 'node', node: { op: { type: 'Add' } } });
  });

  test('adds a matrix product to what came before without a pass of its own', () => {
    const graph = new Graph('diamond of products');
    const x = graph.input('x', 'float32', ['rows', 3]);
    const [w, v] = [graph.input('w', 'float32', [3, 4]), graph.input('v', 'float32', [3, 4])];
    const [grad] = gradients(total(mul(matMul(x, w), matMul(x, v))), [x]);
    expect(grad!.source).toMatchObject({ kind: 'node', node: { op: { type: 'Gemm' } } });
  });

  test('sums a gradient to the shape of an input that was broadcast', () => {
    const graph = new Graph('bias');
    const x = graph.input('x', 'float32', ['batch', 'seq', 3]);
    const bias = graph.input('bias', 'float32', [3]);
    const [grad] = gradients(total(tanh(add(x, bias))), [bias]);
    expect(grad!.shape).toEqual([3]);
  });

  test('takes a product over many rows as one matrix product', () => {
    const graph = new Graph('rows');
    const x = graph.input('x', 'float32', ['batch', 'seq', 4]);
    const w = graph.input('w', 'float32', [4, 2]);
    gradients(total(tanh(matMul(x, w))), [w]);
    const product = graph.nodes.findLast((node) => node.op.type === 'MatMul')!;
    expect(product.inputs.map((input) => input.shape)).toEqual([
      [4, 'batch*seq'],
      ['batch*seq', 2],
    ]);
  });

  test('the same graph gives the same backward nodes', () => {
    const build = () => {
      const graph = new Graph('g');
      const x = graph.input('x', 'float32', ['batch', 3]);
      gradients(total(mul(softmax(x), x)), [x]);
      return graph.nodes.map((node) => node.name);
    };
    expect(build()).toEqual(build());
  });
});

describe('what cannot be differentiated', () => {
  test('a loss that is no scalar', () => {
    const x = new Graph('g').input('x', 'float32', [3]);
    expect(() => gradients(tanh(x), [x])).toThrow('the loss is float32[3], not a scalar');
  });

  test('a value that the loss does not depend on', () => {
    const graph = new Graph('g');
    const x = graph.input('x', 'float32', [3]);
    const other = graph.input('other', 'float32', [3]);
    expect(() => gradients(total(x), [other])).toThrow('the loss does not depend on other');
  });

  test('a value that the loss depends on only where it is detached', () => {
    const x = new Graph('g').input('x', 'float32', [3]);
    expect(() => gradients(total(detach(tanh(x))), [x])).toThrow('the loss does not depend on x');
  });

  test('a detached factor is a constant to the gradient of the other', () => {
    const graph = new Graph('g');
    const x = graph.input('x', 'float32', [3]);
    const constant = detach(x);
    const [dx] = gradients(total(mul(x, constant)), [x]);
    const made = dx!.source.kind === 'node' ? dx!.source.node : undefined;
    expect(made?.op.type).toBe('Mul');
    expect(made?.inputs).toContain(constant);
  });

  test('a condition gets no gradient, the branches do', () => {
    const graph = new Graph('g');
    const x = graph.input('x', 'float32', [3]);
    const loss = total(where(greater(x, 0), tanh(x), x));
    expect(gradients(loss, [x])[0]!.shape).toEqual([3]);
  });
});

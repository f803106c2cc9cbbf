import { describe, expect, test } from 'vitest';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import { encodeModel } from '../../../gpu-node/graph/onnx.ts';
import { ModelProto } from '../../../gpu-node/graph/onnx-schema.ts';
import { add, gelu, layerNormalization, matMul } from '../../../gpu-node/ops/index.ts';

const stored = {
  file: 'weights.bin',
  name: 'dense.weight',
  dtype: 'float32',
  shape: [4, 2],
  offset: 4096,
  length: 32,
} as const;

function example(): Graph {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', ['batch', 4]);
  const hidden = graph.scope('dense', () => add(matMul(x, graph.weight(stored)), 1));
  gelu(hidden);
  const scale = graph.constant('float32', [2], [1, 1]);
  graph.output('y', layerNormalization(hidden, scale, scale, 1e-12));
  return graph;
}

// biome-ignore lint/suspicious/noExplicitAny: the decoded message is compared, not used
const decode = (graph: Graph): any =>
  ModelProto.toObject(ModelProto.decode(encodeModel(graph)), { longs: Number });

describe('the ONNX file', () => {
  test('is the same, byte for byte, for the same graph', () => {
    expect(encodeModel(example())).toEqual(encodeModel(example()));
  });

  test('holds the nodes that outputs depend on, and no others', () => {
    const { graph } = decode(example());
    expect(graph.node.map((node: { name: string }) => node.name)).toEqual([
      'dense/MatMul_0',
      'dense/Add_0',
      'LayerNormalization_0',
    ]);
    expect(graph.output.map((output: { name: string }) => output.name)).toEqual(['y']);
  });

  test('refers to weights by file, offset and length, and holds small constants', () => {
    const { graph } = decode(example());
    const [weight, ...constants] = graph.initializer;
    expect(weight).toMatchObject({ name: 'frozen/dense.weight', dims: [4, 2], dataType: 1, dataLocation: 1 });
    expect(weight.externalData).toEqual([
      { key: 'location', value: 'weights.bin' },
      { key: 'offset', value: '4096' },
      { key: 'length', value: '32' },
    ]);
    expect(weight.rawData).toBeUndefined();
    expect(constants.map(({ rawData }: { rawData: Uint8Array }) => rawData.length)).toEqual([4, 8]);
  });

  test('writes symbols as named sizes and floats as FLOAT attributes', () => {
    const { graph } = decode(example());
    expect(graph.input[0].type.tensorType.shape.dim).toEqual([{ dimParam: 'batch' }, { dimValue: 4 }]);
    expect(graph.node[2].attribute).toMatchObject([
      { name: 'axis', type: 2, i: -1 },
      { name: 'epsilon', type: 1, f: Math.fround(1e-12) },
    ]);
  });

  test('gives an output its name, also where it is an input or comes twice', () => {
    const graph = new Graph('aliases');
    const x = graph.input('x', 'float32', [2]);
    const y = gelu(x);
    graph.output('first', y);
    graph.output('second', y);
    graph.output('third', x);
    const names = decode(graph).graph.node.map((node: { input: string[]; output: string[] }) => [
      node.input[0],
      node.output[0],
    ]);
    expect(names).toEqual([
      ['x', 'first'],
      ['first', 'second'],
      ['x', 'third'],
    ]);
  });

  test('refuses a graph without outputs', () => {
    expect(() => encodeModel(new Graph('empty'))).toThrow('graph empty has no outputs');
  });
});

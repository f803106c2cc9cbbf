import type { Graph } from './builder.ts';
import type { Attribute, DType, Node, Shape, TensorType, Value } from './ir.ts';
import { ModelProto } from './onnx-schema.ts';
import { symbolsOf } from './shapes.ts';

/** Operator set of the op table. */
const OPSET = 18;
/** IR version of that operator set (onnx/onnx.proto, enum Version). */
const IR_VERSION = 8;

/** TensorProto.DataType */
export const DATA_TYPE: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
};

/** AttributeProto.AttributeType */
const ATTRIBUTE_TYPE = { FLOAT: 1, INT: 2, STRING: 3, INTS: 7 };
/** TensorProto.DataLocation */
const EXTERNAL = 1;

/**
 * Encodes the graph as ONNX bytes: every input, the outputs, and the nodes that the outputs depend on. The same graph gives the same bytes.
 * Weights are references into their weight file. It is looked for in the model's folder, or in the session's `weightsFolder` for a model
 * given as bytes.
 */
export function encodeModel(graph: Graph): Uint8Array {
  if (graph.outputs.size === 0) throw new Error(`graph ${graph.name} has no outputs`);
  const reached = reachable(graph);
  const names = new Map<Value, string>();
  const aliases: object[] = [];
  for (const [name, value] of graph.outputs) {
    if (value.source.kind === 'node' && !names.has(value)) names.set(value, name);
    else aliases.push({ input: [names.get(value) ?? value.name], output: [name], name, opType: 'Identity' });
  }
  const nameOf = (value: Value) => names.get(value) ?? value.name;
  const model = {
    irVersion: IR_VERSION,
    producerName: 'weft',
    opsetImport: [
      { domain: '', version: OPSET },
      { domain: 'com.microsoft', version: 1 },
    ],
    graph: {
      name: graph.name,
      node: [...graph.nodes.filter((n) => reached.nodes.has(n)).map((n) => nodeProto(n, nameOf)), ...aliases],
      initializer: reached.initializers.map(initializerProto),
      input: graph.inputs.map((value) => valueInfo(value.name, value)),
      output: [...graph.outputs].map(([name, value]) => valueInfo(name, value)),
    },
  };
  return ModelProto.encode(ModelProto.create(model)).finish();
}

function reachable(graph: Graph): { nodes: Set<Node>; initializers: Value[] } {
  const nodes = new Set<Node>();
  const initializers = new Set<Value>();
  const visit = (value: Value): void => {
    if (value.source.kind === 'node') nodes.add(value.source.node);
    else if (value.source.kind !== 'input') initializers.add(value);
  };
  for (const value of graph.outputs.values()) visit(value);
  for (const node of graph.nodes.toReversed()) {
    if (nodes.has(node)) node.inputs.forEach(visit);
  }
  return { nodes, initializers: [...initializers].sort((a, b) => a.id - b.id) };
}

function nodeProto(node: Node, nameOf: (value: Value) => string): object {
  return {
    name: node.name,
    opType: node.op.type,
    ...(node.op.domain && { domain: node.op.domain }),
    input: node.inputs.map(nameOf),
    output: node.outputs.map(nameOf),
    attribute: Object.entries(node.attributes)
      .map(([name, value]) => attributeProto(name, value))
      .filter((attribute) => attribute !== undefined),
  };
}

function attributeProto(name: string, value: Attribute | undefined): object | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number') return { name, type: ATTRIBUTE_TYPE.INT, i: value };
  if (typeof value === 'string') return { name, type: ATTRIBUTE_TYPE.STRING, s: Buffer.from(value) };
  if ('float' in value) return { name, type: ATTRIBUTE_TYPE.FLOAT, f: value.float };
  if ('known' in value) return undefined;
  return { name, type: ATTRIBUTE_TYPE.INTS, ints: value };
}

function initializerProto({ name, dtype, shape, source }: Value): object {
  const common = { name, dataType: DATA_TYPE[dtype], dims: shape };
  if (source.kind === 'constant') return { ...common, rawData: source.data };
  if (source.kind !== 'weight') throw new Error(`${name} is not an initializer`);
  const { file, offset, length } = source.tensor;
  const externalData = Object.entries({ location: file, offset, length }).map(([key, value]) => ({
    key,
    value: String(value),
  }));
  return { ...common, externalData, dataLocation: EXTERNAL };
}

function valueInfo(name: string, { dtype, shape }: TensorType): object {
  return { name, type: { tensorType: { elemType: DATA_TYPE[dtype], shape: shapeProto(shape) } } };
}

/** Encodes a shape. A product of symbols becomes an unknown size, because onnxruntime reads a symbol as a name, not an expression. */
function shapeProto(shape: Shape): object {
  return {
    dim: shape.map((dim) => {
      if (typeof dim === 'number') return { dimValue: dim };
      return symbolsOf(dim).length === 1 && symbolsOf(dim)[0] === dim ? { dimParam: dim } : {};
    }),
  };
}

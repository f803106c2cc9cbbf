/**
 * Builds a graph, one checked node at a time.
 *
 * ```ts
 * import { Graph } from '../graph/builder.ts';
 * import { encodeModel } from '../graph/onnx.ts';
 * import { add, crossEntropy, gather, matMul } from '../ops/index.ts';
 * import { gradients } from '../autograd/backward.ts';
 * import { Session } from '../runtime/session.ts';
 *
 * const g = new Graph('classifier');
 * const ids = g.input('input_ids', 'int32', ['batch', 'seq']);         // symbols are sizes known at run time
 * const labels = g.input('labels', 'int32', ['batch']);
 * const table = g.weight(weights.tensors.embeddings!);                 // external data, see weight-file.ts
 * const w = g.input('head.weight', 'float32', [384, 3]);               // trained tensors are inputs
 * const b = g.input('head.bias', 'float32', [3]);
 * const logits = g.scope('head', () => {                               // names nodes head/MatMul_0, ...
 *   const pooled = reduceMean(gather(table, ids), [1]);                // functions of ops/ take and give values
 *   return add(matMul(pooled, w), b);                                  // shapes are checked here
 * });
 * const loss = crossEntropy(logits, labels);
 * const [dw, db] = gradients(loss, [w, b]);                            // adds the backward nodes
 * g.output('loss', loss);
 * g.output('head.weight.grad', dw!);
 * g.output('head.bias.grad', db!);
 *
 * const session = await Session.create(encodeModel(g), { weightsFolder });
 * const { loss: l } = await session.run({ input_ids: tensor('int32', [32, 64], ids), ... });
 * ```
 *
 * Numbers are accepted where a binary operator takes a value (`mul(x, 0.5)`). The same node twice
 * (same operator, inputs and attributes) is one node, so that a backward pass shares what it can.
 */
import type { Attributes, ConstantData, Dim, DType, Node, Op, Shape, Source, Value } from './ir.ts';
import { elementCount, formatType, quotient, ShapeError, symbolsOf } from './shapes.ts';
import type { StoredTensor } from './weight-file.ts';

const INTEGER_LIMITS: Partial<Record<DType, readonly [number, number]>> = {
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int8: [-128, 127],
  uint8: [0, 255],
  bool: [0, 1],
};

/** Bytes of one element. */
export const ELEMENT_SIZE: Readonly<Record<DType, number>> = {
  float32: 4,
  float16: 2,
  int64: 8,
  int32: 4,
  int8: 1,
  uint8: 1,
  bool: 1,
};

export class Graph {
  readonly name: string;
  readonly inputs: Value[] = [];
  readonly nodes: Node[] = [];
  readonly outputs = new Map<string, Value>();
  readonly #names = new Set<string>();
  readonly #counters = new Map<string, number>();
  readonly #operators = new Map<Op, number>();
  readonly #shared = new Map<string, readonly Value[]>();
  readonly #ids = new Map<Value, number>();
  #scope = '';

  constructor(name: string) {
    this.name = name;
  }

  /** Adds a tensor fed at every run. A symbol names a size: inputs that mention the same symbol agree on it. */
  input(name: string, dtype: DType, shape: Shape): Value {
    this.#takeName(name);
    const value = this.#value(name, dtype, shape, { kind: 'input' });
    this.inputs.push(value);
    return value;
  }

  /** Adds a small tensor held in the model itself; equal constants are one. */
  constant(dtype: DType, shape: readonly number[], data: ConstantData): Value {
    const bytes = toBytes(dtype, data);
    if (bytes.length !== elementCount(shape) * ELEMENT_SIZE[dtype]) {
      throw new ShapeError(`a constant ${formatType({ dtype, shape })} was given ${data.length} elements`);
    }
    const key = `constant ${formatType({ dtype, shape })} ${Buffer.from(bytes).toString('base64')}`;
    return this.#once(key, () => [
      this.#value(this.#freshName('constant'), dtype, shape, { kind: 'constant', data: bytes }),
    ])[0]!;
  }

  /** Adds a scalar constant, float32 by default. */
  scalar(value: number, dtype: DType = 'float32'): Value {
    return this.constant(dtype, [], [value]);
  }

  /** Adds a frozen tensor of a weight file. The value's name differs from any input's, because a trained tensor may have the same name. */
  weight(tensor: StoredTensor): Value {
    return this.#once(`weight ${tensor.file} ${tensor.offset} ${tensor.shape}`, () => {
      const name = this.#takeName(`frozen/${tensor.name}`);
      return [this.#value(name, tensor.dtype, tensor.shape, { kind: 'weight', tensor })];
    })[0]!;
  }

  /** Names a value as a result of the graph. */
  output(name: string, value: Value): void {
    if (this.outputs.has(name)) throw new Error(`graph ${this.name} already has an output ${name}`);
    if (value.graph !== this) throw new Error(`output ${name} belongs to another graph`);
    this.outputs.set(name, value);
  }

  /** Puts `name/` before the names of the nodes that `build` adds. Scopes nest. */
  scope<T>(name: string, build: () => T): T {
    const outer = this.#scope;
    this.#scope = outer ? `${outer}/${name}` : name;
    try {
      return build();
    } finally {
      this.#scope = outer;
    }
  }

  /**
   * Adds a node; the functions of `ops/` call this.
   * @throws {ShapeError} naming the operator, its place, the operand and its type.
   */
  add<A extends Attributes>(op: Op<A>, inputs: readonly Value[], attributes: A): readonly Value[] {
    for (const [i, value] of inputs.entries()) {
      if (value.graph !== this)
        throw new Error(`${op.type}: operand ${i} (${value.name}) is of another graph`);
    }
    const key = `${this.#numberOf(op as Op)} ${inputs.map((v) => v.id)} ${JSON.stringify(attributes)}`;
    return this.#once(key, () => this.#append(op as Op, inputs, attributes));
  }

  /** The graph input, and its axis, that gives the size of `symbol`; undefined if there is none. */
  symbolSource(symbol: string): { value: Value; axis: number; factor: Dim } | undefined {
    for (const value of this.inputs) {
      for (const [axis, dim] of value.shape.entries()) {
        const factor = symbolsOf(dim).length === 1 ? quotient(dim, symbol) : undefined;
        if (factor !== undefined) return { value, axis, factor };
      }
    }
    return undefined;
  }

  /** Number of an operator. Operators with one ONNX name may differ in their gradient, so the operator itself is the key. */
  #numberOf(op: Op): number {
    const number = this.#operators.get(op) ?? this.#operators.size;
    this.#operators.set(op, number);
    return number;
  }

  #append(op: Op, inputs: readonly Value[], attributes: Attributes): readonly Value[] {
    const name = this.#freshName(op.type);
    const types = this.#infer(op, name, inputs, attributes);
    const outputs: Value[] = [];
    const node: Node = { name, op, attributes, inputs, outputs };
    types.forEach(({ dtype, shape }, output) => {
      const valueName = output === 0 ? name : `${name}:${output}`;
      outputs.push(this.#value(valueName, dtype, shape, { kind: 'node', node, output }));
    });
    this.nodes.push(node);
    return outputs;
  }

  #infer(op: Op, name: string, inputs: readonly Value[], attributes: Attributes) {
    try {
      return op.infer(inputs, attributes);
    } catch (cause) {
      if (!(cause instanceof ShapeError)) throw cause;
      const operands = inputs.map((v, i) => `${i}: ${v.name} ${formatType(v)}`).join(', ');
      throw new ShapeError(`${name}: ${cause.message} (operands ${operands})`, { cause });
    }
  }

  #value(name: string, dtype: DType, shape: Shape, source: Source): Value {
    const value: Value = { graph: this, id: this.#ids.size, name, dtype, shape: [...shape], source };
    this.#ids.set(value, value.id);
    return value;
  }

  #once(key: string, make: () => readonly Value[]): readonly Value[] {
    const known = this.#shared.get(key);
    if (known) return known;
    const made = make();
    this.#shared.set(key, made);
    return made;
  }

  #freshName(kind: string): string {
    const stem = this.#scope ? `${this.#scope}/${kind}` : kind;
    const count = this.#counters.get(stem) ?? 0;
    this.#counters.set(stem, count + 1);
    return this.#takeName(`${stem}_${count}`);
  }

  #takeName(name: string): string {
    if (this.#names.has(name)) throw new Error(`graph ${this.name} already has a value named ${name}`);
    this.#names.add(name);
    return name;
  }
}

/** Little-endian bytes of a constant's elements. @throws {ShapeError} for a number that its dtype cannot hold. */
function toBytes(dtype: DType, data: ConstantData): Uint8Array {
  const limits = INTEGER_LIMITS[dtype];
  const bytes = new Uint8Array(data.length * ELEMENT_SIZE[dtype]);
  const view = new DataView(bytes.buffer);
  data.forEach((element: number, i: number) => {
    if (limits && !(Number.isInteger(element) && element >= limits[0] && element <= limits[1])) {
      throw new ShapeError(`${element} is not a ${dtype}`);
    }
    writeElement(view, i * ELEMENT_SIZE[dtype], dtype, element);
  });
  return bytes;
}

function writeElement(view: DataView, at: number, dtype: DType, element: number): void {
  if (dtype === 'float32') view.setFloat32(at, element, true);
  else if (dtype === 'float16') view.setFloat16(at, element, true);
  else if (dtype === 'int64') view.setBigInt64(at, BigInt(element), true);
  else if (dtype === 'int32') view.setInt32(at, element, true);
  else view.setUint8(at, element & 0xff);
}

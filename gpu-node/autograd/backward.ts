import type { GradientContext, Node, Shape, Value } from '../graph/ir.ts';
import { formatType, ShapeError, sameShape } from '../graph/shapes.ts';
import { add, gemm, reduceSum, reshape } from '../ops/index.ts';
import { matMulOp } from '../ops/mat-mul.ts';

/**
 * Adds the backward pass of `loss` (a float scalar) to its graph. Returns its gradient by each of `wanted`, in that value's shape. Only the
 * way from wanted values to the loss is differentiated: frozen weights, and everything below the first wanted value, get no nodes.
 * Nodes are accumulated in reverse order of creation, as in tinygrad's `gradient.py`.
 * @throws {ShapeError} where the loss is no scalar, does not depend on a wanted value, or depends on it through an operator without a
 * gradient.
 */
export function gradients(loss: Value, wanted: readonly Value[]): Value[] {
  if (loss.shape.length !== 0) throw new ShapeError(`the loss is ${formatType(loss)}, not a scalar`);
  const graph = loss.graph;
  const depends = dependants(graph.nodes, wanted);
  const grads = new Map<Value, Value>([[loss, graph.scalar(1, loss.dtype)]]);
  graph.scope('backward', () => {
    for (const node of graph.nodes.toReversed()) {
      if (node.outputs.some((output) => grads.has(output) && depends.has(output))) {
        graph.scope(node.name, () => differentiate(node, grads, depends));
      }
    }
  });
  return wanted.map((value) => {
    const grad = grads.get(value);
    if (!grad) throw new ShapeError(`the loss does not depend on ${value.name}`);
    return grad;
  });
}

/** The wanted values and everything computed from them. */
function dependants(nodes: readonly Node[], wanted: readonly Value[]): Set<Value> {
  const depends = new Set(wanted);
  for (const node of nodes) {
    if (node.inputs.some((input) => depends.has(input))) {
      for (const output of node.outputs) depends.add(output);
    }
  }
  return depends;
}

function differentiate(node: Node, grads: Map<Value, Value>, depends: ReadonlySet<Value>): void {
  const rule = node.op.gradient;
  if (typeof rule !== 'function') {
    throw new ShapeError(`${node.name}: ${node.op.type} has no gradient: ${rule.none}`);
  }
  const byOutput = node.outputs.map((output) => grads.get(output));
  const context: GradientContext = {
    inputs: node.inputs,
    outputs: node.outputs,
    attributes: node.attributes,
    grads: byOutput,
    get grad() {
      const first = byOutput[0];
      if (!first) throw new ShapeError(`${node.name}: the loss depends on a secondary output only`);
      return first;
    },
    needs: (i) => depends.has(node.inputs[i]!),
  };
  rule(context).forEach((grad, i) => {
    const input = node.inputs[i]!;
    if (!grad || !depends.has(input)) return;
    const part = sumToShape(grad, input.shape);
    const known = grads.get(input);
    grads.set(input, known ? accumulate(known, part) : part);
  });
}

/** Sums two gradients. A product of two matrices starts from the other gradient, so that adding it takes no pass of its own. */
function accumulate(known: Value, part: Value): Value {
  const { source } = part;
  if (source.kind !== 'node' || source.node.op !== matMulOp) return add(known, part);
  const [a, b] = source.node.inputs as [Value, Value];
  return a.shape.length === 2 && b.shape.length === 2 ? gemm(a, b, known) : add(known, part);
}

/** Undoes a broadcast: sums the axes along which a value of `shape` was repeated. */
function sumToShape(grad: Value, shape: Shape): Value {
  if (sameShape(grad.shape, shape)) return grad;
  const extra = grad.shape.length - shape.length;
  const repeated = grad.shape.flatMap((dim, i) => (i < extra || shape[i - extra] !== dim ? [i] : []));
  return reshape(reduceSum(grad, repeated), shape);
}

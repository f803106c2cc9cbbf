import type { Attributes, DType, Op, Value } from '../graph/ir.ts';
import { broadcastType, FLOATS, reject, ShapeError } from '../graph/shapes.ts';

/** Declares an operator; the type makes its gradient (or the reason why it has none) and its samples mandatory. */
export function defineOp<A extends Attributes>(op: Op<A>): Op<A> {
  return op;
}

/** An operand: a value, or a number that becomes a scalar constant of the other operand's dtype. */
export type Operand = Value | number;

/** Adds a node of an operator with one output. */
export function emit<A extends Attributes>(op: Op<A>, inputs: readonly Value[], attributes: A): Value {
  const first = inputs[0];
  if (!first) throw new Error(`${op.type}: needs at least one operand`);
  return first.graph.add(op, inputs, attributes)[0]!;
}

/** Turns the number among two operands into a constant. */
export function operands(a: Operand, b: Operand): [Value, Value] {
  if (typeof a !== 'number') return [a, typeof b === 'number' ? a.graph.scalar(b, a.dtype) : b];
  if (typeof b !== 'number') return [b.graph.scalar(a, b.dtype), b];
  throw new ShapeError(`operands ${a} and ${b}: at least one must be a value of a graph`);
}

/** Checks a scalar or vector constant dtype for element-wise float functions; the output has the input's type. */
export function floatUnary(inputs: readonly Value[]): readonly [Value] {
  const x = inputs[0]!;
  if (!FLOATS.includes(x.dtype)) reject(0, x, `its dtype must be ${FLOATS.join(' or ')}`);
  return [x];
}

/** Shape rule of broadcasting arithmetic. */
export function arithmetic(inputs: readonly Value[]) {
  return [broadcastType(inputs, ARITHMETIC)];
}

const ARITHMETIC: readonly DType[] = ['float32', 'float16', 'int64', 'int32'];

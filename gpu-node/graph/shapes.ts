import type { Dim, DType, Shape, TensorType, Value } from './ir.ts';

/** An error of a graph that does not fit together; it names the operator, the operand and its type. */
export class ShapeError extends Error {
  override name = 'ShapeError';
}

/** A type in words: `float32[batch, seq, 384]`. */
export function formatType(type: TensorType): string {
  return `${type.dtype}${formatShape(type.shape)}`;
}

/** A shape in words: `[batch, seq, 384]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** Throws a ShapeError about operand `index`; `Graph.add` puts the operator's name before it. */
export function reject(index: number, value: TensorType, why: string): never {
  throw new ShapeError(`operand ${index} is ${formatType(value)}: ${why}`);
}

interface Monomial {
  readonly factor: number;
  readonly symbols: readonly string[];
}

function toMonomial(dims: Shape): Monomial {
  let factor = 1;
  const symbols: string[] = [];
  for (const dim of dims) {
    for (const part of typeof dim === 'number' ? [dim] : partsOf(dim, '*')) {
      const size = Number(part);
      if (Number.isInteger(size)) factor *= size;
      else symbols.push(String(part));
    }
  }
  return { factor, symbols: symbols.sort() };
}

/** A text split at a sign that stands outside brackets. */
function partsOf(text: string, sign: '*' | '+'): string[] {
  const parts = [''];
  let depth = 0;
  for (const character of text) {
    if (character === '(') depth++;
    if (character === ')') depth--;
    if (character === sign && depth === 0) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}

/** The sum of dims in normal form: a number, or a symbol such as `(seq+8)`, so that equal sizes are equal strings. */
export function sum(dims: Shape): Dim {
  const terms = dims.flatMap((dim) => termsOf(dim) ?? [dim]);
  const known = terms.reduce<number>((total, dim) => (typeof dim === 'number' ? total + dim : total), 0);
  const symbols = terms.filter((dim) => typeof dim !== 'number').sort();
  const all = [...symbols, ...(known === 0 && symbols.length > 0 ? [] : [known])];
  return all.length === 1 ? all[0]! : `(${all.join('+')})`;
}

/** The terms of a symbol that `sum` made; undefined if the dim is no sum. */
export function termsOf(dim: Dim): readonly Dim[] | undefined {
  if (typeof dim === 'number' || !dim.startsWith('(') || partsOf(dim, '*').length > 1) return undefined;
  return partsOf(dim.slice(1, -1), '+').map((term) => (Number.isInteger(Number(term)) ? Number(term) : term));
}

/**
 * The product of dims in normal form: a number, or `factor*symbol*symbol` with sorted symbols. Equal sizes are then equal strings:
 * `product(['seq', 12, 'batch'])` is `'12*batch*seq'`.
 */
export function product(dims: Shape): Dim {
  const { factor, symbols } = toMonomial(dims);
  if (symbols.length === 0 || factor === 0) return factor;
  return [...(factor === 1 ? [] : [factor]), ...symbols].join('*');
}

/** `a / b` if it divides exactly as a monomial, else undefined. */
export function quotient(a: Dim, b: Dim): Dim | undefined {
  const left = toMonomial([a]);
  const right = toMonomial([b]);
  const symbols = [...left.symbols];
  for (const symbol of right.symbols) {
    const at = symbols.indexOf(symbol);
    if (at < 0) return undefined;
    symbols.splice(at, 1);
  }
  const factor = left.factor / right.factor;
  return Number.isInteger(factor) ? product([factor, ...symbols]) : undefined;
}

/** The symbols in a dim: `'12*batch*seq'` gives `['batch', 'seq']`. */
export function symbolsOf(dim: Dim): readonly string[] {
  return toMonomial([dim]).symbols;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** ONNX multidirectional broadcast of two shapes; undefined if they do not fit. */
export function broadcast(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const shape: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const left = a[i - rank + a.length] ?? 1;
    const right = b[i - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) return undefined;
    shape.push(left === 1 ? right : left);
  }
  return shape;
}

/** Resolves a negative axis. @throws {ShapeError} when the axis is outside the shape. */
export function toAxis(axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new ShapeError(`axis ${axis} is outside a tensor of rank ${rank}`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** The broadcast type of operands that must share one dtype. */
export function broadcastType(inputs: readonly Value[], allowed?: readonly DType[]): TensorType {
  const first = inputs[0]!;
  let shape: Shape = first.shape;
  inputs.forEach((value, i) => {
    if (allowed && !allowed.includes(value.dtype))
      reject(i, value, `its dtype must be ${allowed.join(' or ')}`);
    if (value.dtype !== first.dtype) reject(i, value, `its dtype must be that of operand 0, ${first.dtype}`);
    const joined = broadcast(shape, value.shape);
    if (!joined) reject(i, value, `its shape does not broadcast with ${formatShape(shape)}`);
    shape = joined;
  });
  return { dtype: first.dtype, shape };
}

export const FLOATS: readonly DType[] = ['float32', 'float16'];
export const INTEGERS: readonly DType[] = ['int64', 'int32'];

/** Checks that an operand has one of the given dtypes. */
export function requireDType(index: number, value: Value, allowed: readonly DType[]): void {
  if (!allowed.includes(value.dtype)) reject(index, value, `its dtype must be ${allowed.join(' or ')}`);
}

/** The number of elements, for shapes without symbols. @throws {ShapeError} */
export function elementCount(shape: Shape): number {
  const count = product(shape);
  if (typeof count !== 'number') throw new ShapeError(`the size of ${formatShape(shape)} is not known yet`);
  return count;
}

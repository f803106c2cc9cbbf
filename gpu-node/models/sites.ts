import type { Value } from '../graph/ir.ts';
import { add, asMatrix, gemm, matMul, mul, reshape, squeeze, sub, unsqueeze } from '../ops/index.ts';
import type { FrozenLinear } from '../precision/precision.ts';

/** A linear layer that a method may change; `name` is its dotted module name in transformers' classification model. */
export interface LinearLayer {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** Dropout of a training graph, or its absence in evaluation and serving. */
export interface Dropout {
  /** x with elements zeroed, those kept not yet scaled. */
  mask(x: Value): Value;
  /** What the kept elements must be multiplied by: 1 / (1 - p). */
  readonly scale: number;
}

export const NO_DROPOUT: Dropout = { mask: (x) => x, scale: 1 };

/**
 * Two factors whose product is added to a matrix: a `[in, r]` and b `[r, out]`, which all rows share, or `[batch, in, r]` and
 * `[batch, r, out]`, a pair for each row.
 */
export interface LowRank {
  readonly a: Value;
  readonly b: Value;
  readonly scaling: number;
}

/**
 * What is changed about a linear layer, as data, so that methods which meet on one layer compose: y = gain⊙(Wx + b + s·x·a·b) + shift, all of it
 * with reach⊙x for x. With dropout, whose mask makes x̃ of x and whose scale is c, y = Wx + b + c·s·x̃·a·b + c·(gain - 1)⊙(Wx̃ + b + s·x̃·a·b) + shift.
 * What is absent changes nothing. Vectors are `[features]`, which all rows share, or `[batch, features]`, one for each row, whose layout is
 * `batch-first`.
 */
export interface LinearChange {
  readonly reach?: Value;
  readonly lowRank?: LowRank;
  readonly gain?: Value;
  readonly shift?: Value;
  /** What every term but Wx + b reads x through. */
  readonly dropout?: Dropout;
}

/** A linear layer being built: x is `[.., .., in]` in the encoder's layout or `[batch, in]`. */
export interface LinearCall {
  readonly layer: LinearLayer;
  readonly x: Value;
  readonly frozen: FrozenLinear;
}

/** The places of an encoder where methods act. Each answers what is changed there; absent is the base model. */
export interface Sites {
  linear?(call: LinearCall): LinearChange | undefined;
}

/** The base model as it is. */
export const NO_SITES: Sites = {};

/** The output `[.., out]` of a linear layer under a change: the one formula of training, evaluation and serving. */
export function changedLinear({ x: given, frozen }: LinearCall, change: LinearChange = {}): Value {
  const { reach, lowRank, gain, shift, dropout = NO_DROPOUT } = change;
  const x = reach ? mul(given, alongTokens(reach, given)) : given;
  const dropped = dropout.mask(x);
  let y = withLowRank(frozen, x, dropped, dropout.scale, lowRank);
  if (gain && dropped === x) y = mul(y, alongTokens(gain, y));
  else if (gain) {
    const branch = withLowRank(frozen, dropped, dropped, 1, lowRank);
    y = add(y, mul(branch, mul(sub(gain, 1), dropout.scale)));
  }
  return shift ? add(y, alongTokens(shift, y)) : y;
}

/** Wx + b + scale·s·x̃·a·b. */
function withLowRank(
  frozen: FrozenLinear,
  x: Value,
  dropped: Value,
  scale: number,
  lowRank: LowRank | undefined,
): Value {
  if (!lowRank) return frozen.apply(x);
  const { a, b, scaling } = lowRank;
  if (a.shape.length === 2) {
    const low = mul(matMul(asMatrix(dropped), a), scale * scaling);
    const plain = frozen.apply(x);
    return reshape(gemm(low, b, asMatrix(plain)), plain.shape);
  }
  if (x.shape.length === 3) return frozen.applyWithChange(x, matMul(x, a), b);
  const rows = unsqueeze(x, [1]);
  return squeeze(frozen.applyWithChange(rows, matMul(rows, a), b), [1]);
}

/** A vector for each row, `[batch, features]`, as it stands beside `[batch, tokens, features]`. */
function alongTokens(vector: Value, beside: Value): Value {
  return vector.shape.length === 2 && beside.shape.length === 3 ? unsqueeze(vector, [1]) : vector;
}

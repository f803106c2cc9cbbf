import type { SublayerKind } from '../../shared/families.ts';
import type { Value } from '../graph/ir.ts';
import {
  add,
  asMatrix,
  cast,
  gemm,
  linear,
  matMul,
  mul,
  reshape,
  squeeze,
  sub,
  swapPair,
  unsqueeze,
} from '../ops/index.ts';
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

/** Something that is about to be added: factors' product, keys and values before those of a text, or what a bottleneck gives. */
export interface GateCall {
  /** Where, by the name that the part which adds it has for the place. */
  readonly place: string;
  /** What it is made from, `[.., .., in]` in the encoder's layout. */
  readonly x: Value;
}

/**
 * A gate: what is added at a place is multiplied by the mean of σ(x·weight + bias) over the tokens of a text. A weight `[in, 1]` and a bias `[1]`,
 * which all rows share; or each with the batch before that, one for each row.
 */
export interface Gate {
  readonly weight: Value;
  readonly bias: Value;
  /** `[batch, 1]`: 1 for a row with the gate, and 0 for one that gets all of what is added; absent, all rows have the gate. */
  readonly live?: Value;
}

/** How much a row gets of what is added at a place, as it stands beside x: `[1, batch, 1]` or `[batch, 1, 1]`; undefined where all rows get all of it. */
export type Opening = (call: GateCall) => Value | undefined;

/**
 * What is added to a vector of outputs: each the other of its pair times a factor. Outputs lie in groups of twice the distance, and each is paired
 * with the one that lies this far away in its group. With a gain that makes any 2x2 matrix of each pair.
 */
export interface Turn {
  readonly distance: number;
  readonly factors: Value;
}

/**
 * What is changed about a linear layer, as data, so that methods which meet on one layer compose: y = gain⊙z + turned(z) + shift, where
 * z = Wx + b + s·x·a·b, all of it with reach⊙x for x. With dropout, whose mask makes x̃ of x and whose scale is c, y = Wx + b + c·s·x̃·a·b + c·(gain - 1)⊙(Wx̃ + b + s·x̃·a·b) + shift.
 * What is absent changes nothing. Vectors are `[features]`, which all rows share, or `[batch, features]`, one for each row, whose layout is
 * `batch-first`.
 */
export interface LinearChange {
  readonly reach?: Value;
  readonly lowRank?: LowRank;
  readonly gain?: Value;
  readonly turns?: readonly Turn[];
  readonly shift?: Value;
  /** What every term but Wx + b reads x through. */
  readonly dropout?: Dropout;
}

/** A linear layer being built: x is `[.., .., in]` in the encoder's layout or `[batch, in]`. */
export interface LinearCall {
  readonly layer: LinearLayer;
  readonly x: Value;
  readonly frozen: FrozenLinear;
  /** For what factors add, whose place is the layer's name; absent over pooled texts, which have no tokens left to weigh. */
  readonly opening?: Opening | undefined;
}

/** A norm being built: LN(x)⊙weight + bias, `name` its dotted module name. */
export interface NormCall {
  readonly name: string;
  readonly x: Value;
  /** Of the base model, `[size]`. */
  readonly bias: Value;
}

/** What is added to a norm's output: `[size]`, or `[batch, size]`, one for each row. */
export interface NormChange {
  readonly shift?: Value;
}

/** Attention being built, after its heads were split. */
export interface AttentionCall {
  /** Which layer's, from 0. */
  readonly index: number;
  /** What the layer's queries, keys and values are made of, in the encoder's layout. */
  readonly x: Value;
  /** Of the text's own tokens, `[batch, heads, seq, size]`. */
  readonly keys: Value;
  readonly values: Value;
}

/** Keys and values that stand before the text's own, each `[batch, heads, prefix, size]`. */
export interface KeysValues {
  readonly keys: Value;
  readonly values: Value;
  /** What is added to their scores, `[batch, 1, 1, prefix]`: 0, or so low that a row has none of them. */
  readonly bias: Value;
}

/** The end of half a layer, between its last linear layer and its norm. */
export interface SublayerCall {
  readonly kind: SublayerKind;
  /** Which layer's, from 0. */
  readonly index: number;
  /** What went into the half, which is added before the norm; in the encoder's layout, as y is. */
  readonly x: Value;
  /** What its last linear layer gave. */
  readonly y: Value;
  /** The norm of y + x, in the base model what the half gives. */
  join(y: Value): Value;
  /** For what is added to y. */
  readonly opening: Opening;
}

/** Word embeddings being looked up. */
export interface EmbeddingsCall {
  /** Which rows of the table, int32 in the encoder's layout: `[seq, batch]` or `[batch, seq]`. */
  readonly ids: Value;
}

/** What is done at a place, `next` being the rest of the chain, at whose end the base model stands. */
type Link<Call> = (call: Call, next: (call: Call) => Value) => Value;

/** Positions of a text's tokens being counted. */
export interface PositionsCall {
  /** int32 `[seq]`, which all rows share, or `[batch, seq]`. */
  readonly ids: Value;
  /** float32 `[batch, seq]`: 1 for a token, 0 for padding. */
  readonly mask: Value;
}

/** The places of an encoder where methods act. Each answers what is changed there; absent is the base model. */
export interface Sites {
  linear?(call: LinearCall): LinearChange | undefined;
  norm?(call: NormCall): NormChange | undefined;
  attention?(call: AttentionCall): readonly KeysValues[];
  positions?(call: PositionsCall): Value;
  /** Whether what is added at a place is gated. */
  gate?(call: GateCall): Gate | undefined;
  /** What half a layer gives, in the base model its `join`. */
  readonly sublayer?: Link<SublayerCall>;
  /** The word embeddings `[.., .., hidden]`, before positions are added. */
  readonly embeddings?: Link<EmbeddingsCall>;
}

/** The base model as it is. */
export const NO_SITES: Sites = {};

/** Several changes of one encoder as one. Two may meet at a place, but not in the same member of a linear layer's or a norm's change, or of a gate. */
export function composeSites(sites: readonly Sites[]): Sites {
  const [only] = sites;
  if (only && sites.length === 1) return only;
  return {
    linear: (call) => merged(sites.map((each) => each.linear?.(call))),
    norm: (call) => merged(sites.map((each) => each.norm?.(call))),
    attention: (call) => sites.flatMap((each) => each.attention?.(call) ?? []),
    positions: ({ ids, mask }) =>
      sites.reduce((moved, each) => each.positions?.({ ids: moved, mask }) ?? moved, ids),
    gate: (call) => merged(sites.map((each) => each.gate?.(call))),
    sublayer: chain(sites.map((each) => each.sublayer)),
    embeddings: chain(sites.map((each) => each.embeddings)),
  };
}

function chain<Call>(links: readonly (Link<Call> | undefined)[]): Link<Call> {
  return (call, next) =>
    links.reduceRight<typeof next>((rest, link) => (link ? (inner) => link(inner, rest) : rest), next)(call);
}

function merged<C extends object>(changes: readonly (C | undefined)[]): C | undefined {
  const given = changes.filter((change) => change !== undefined);
  if (given.length === 0) return undefined;
  const all: Record<string, unknown> = {};
  for (const change of given) {
    for (const [member, value] of Object.entries(change)) {
      if (member in all && all[member] !== value)
        throw new Error(`two methods change ${member} of one place`);
      all[member] = value;
    }
  }
  return all as C;
}

/** The output `[.., out]` of a linear layer under a change: the one formula of training, evaluation and serving. */
export function changedLinear(
  { layer, x: given, frozen, opening }: LinearCall,
  change: LinearChange = {},
): Value {
  const { reach, gain, turns = [], shift, dropout = NO_DROPOUT } = change;
  const lowRank = change.lowRank && {
    ...change.lowRank,
    share: opening?.({ place: layer.name, x: given }),
  };
  const x = reach ? mul(given, alongTokens(reach, given)) : given;
  const dropped = dropout.mask(x);
  const z = withLowRank(frozen, x, dropped, dropout.scale, lowRank);
  let y = z;
  if (gain && dropped === x) y = mul(y, alongTokens(gain, y));
  else if (gain) {
    const branch = withLowRank(frozen, dropped, dropped, 1, lowRank);
    y = add(y, mul(branch, mul(sub(gain, 1), dropout.scale)));
  }
  for (const turn of turns) y = add(y, turned(z, turn));
  return shift ? add(y, alongTokens(shift, y)) : y;
}

/** What a turn adds to z `[.., out]`. */
function turned(z: Value, { distance, factors }: Turn): Value {
  const [width, around] = [z.shape.at(-1) as number, z.shape.slice(0, -1)];
  const pairs = reshape(z, [...around, width / (2 * distance), 2, distance]);
  const others = reshape(swapPair(pairs, -2), z.shape);
  return mul(others, alongTokens(factors, z));
}

/** A norm's output `[.., size]` under a change. */
export function changedNorm(y: Value, { shift }: NormChange = {}): Value {
  return shift ? add(y, alongTokens(shift, y)) : y;
}

/**
 * Positions behind `shift` others: as many for all rows, or int32 `[batch, 1]`. Of padding, whose row may be far from the end of the table
 * that its neighbours' texts reach, they are 0 then.
 */
export function behind({ ids, mask }: PositionsCall, shift: number | Value): Value {
  const moved = add(ids, shift);
  return typeof shift === 'number' ? moved : mul(moved, cast(mask, 'int32'));
}

/** Wx + b + scale·s·x̃·a·b, of which last term a row gets its share. */
function withLowRank(
  frozen: FrozenLinear,
  x: Value,
  dropped: Value,
  scale: number,
  lowRank: (LowRank & { readonly share: Value | undefined }) | undefined,
): Value {
  if (!lowRank) return frozen.apply(x);
  const { a, b, scaling, share } = lowRank;
  if (a.shape.length === 2) {
    const low = mul(matMul(asMatrix(dropped), a), scale * scaling);
    const apart = [...x.shape.slice(0, -1), low.shape[1]!];
    const shared = share ? asMatrix(mul(reshape(low, apart), share)) : low;
    const plain = frozen.apply(x);
    return reshape(gemm(shared, b, asMatrix(plain)), plain.shape);
  }
  if (x.shape.length === 2) {
    const rows = unsqueeze(x, [1]);
    return squeeze(frozen.applyWithChange(rows, matMul(rows, a), b), [1]);
  }
  const low = matMul(x, a);
  return frozen.applyWithChange(x, share ? mul(low, share) : low, b);
}

/**
 * x·weight + bias over the last axis of x `[.., .., in]`: with a weight `[in, out]` and a bias `[out]`, which all rows share, or `[batch, in, out]` and
 * `[batch, out]`, one for each row, of a layout that is `batch-first`.
 */
export function rowsLinear(x: Value, weight: Value, bias: Value): Value {
  return weight.shape.length === 2 ? linear(x, weight, bias) : add(matMul(x, weight), unsqueeze(bias, [1]));
}

/** A vector for each row, `[batch, features]`, as it stands beside `[batch, tokens, features]`. */
function alongTokens(vector: Value, beside: Value): Value {
  return vector.shape.length === 2 && beside.shape.length === 3 ? unsqueeze(vector, [1]) : vector;
}

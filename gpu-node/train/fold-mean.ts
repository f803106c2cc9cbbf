import type { Tensor } from '../../shared/safetensors.ts';
import { BLENDS, blend } from './blend.ts';
import {
  BLEND_LOGITS,
  type EpochLoss,
  type SavedDescent,
  type SavedState,
  type SumKind,
  type TrainingShape,
  tensorName,
} from './checkpoint.ts';
import type { Descended } from './descent.ts';

/**
 * The mean over descents that began alike: of where they started, where they ended, and so of every point between. Their mean answers new texts
 * better and more evenly than each of them (model soups, Wortsman et al. 2022, arXiv:2203.05482), and each row is validated by a descent
 * that has not seen it.
 */
export class FoldMean {
  readonly #finished: EpochLoss[] = [];
  readonly #shape: TrainingShape;
  #starts: readonly Float32Array[] = [];
  #ends: readonly Float32Array[] = [];
  /** At each of `BLENDS` the logits of all their validation examples, one descent after another. */
  #logits: readonly Float32Array[] = BLENDS.map(() => new Float32Array());

  constructor(shape: TrainingShape) {
    this.#shape = shape;
  }

  /** The kept epoch of each descent that has ended. */
  get finished(): readonly EpochLoss[] {
    return this.#finished;
  }

  /** Logits of the validation examples at each of `BLENDS`. */
  get logits(): readonly Float32Array[] {
    return this.#logits;
  }

  /** Takes a descent's tensors over, and changes them. */
  add({ start, kept, blends }: Descended): void {
    const dataOf = (tensors: ReadonlyMap<string, Tensor>) =>
      this.#shape.parameters.map(({ name }) => tensors.get(name)!.data as Float32Array);
    this.#starts = sum(this.#starts, dataOf(start.tensors));
    this.#ends = sum(this.#ends, dataOf(kept.tensors));
    this.#logits = this.#logits.map((before, i) => concatenate(before, blends[i]!));
    const { epoch, loss } = kept.result;
    this.#finished.push({ epoch, loss });
  }

  /** The mean adapter at a share of the way; it takes the sums over. */
  tensors(share: number): ReadonlyMap<string, Tensor> {
    const folds = this.#finished.length;
    return new Map(
      this.#shape.parameters.map(({ name, shape }, i) => {
        const data = this.#ends[i]!;
        if (share < 1) blend(data, this.#starts[i]!, data, share);
        if (folds > 1) for (let k = 0; k < data.length; k++) data[k]! /= folds;
        return [name, { shape, data }];
      }),
    );
  }

  /** A training's state, from its descent's. */
  save({ position, tensors }: SavedDescent): SavedState {
    const named = (kind: SumKind, sums: readonly Float32Array[]) =>
      sums.map((data, i): [string, Tensor] => {
        const { name, shape } = this.#shape.parameters[i]!;
        return [tensorName(kind, name), { shape, data }];
      });
    const all = new Map([...tensors, ...named('starts', this.#starts), ...named('ends', this.#ends)]);
    const finished = [...this.#finished];
    if (finished.length > 0) all.set(BLEND_LOGITS, this.#logitsTensor());
    return { position: { ...position, finished }, tensors: all };
  }

  restore({ position, tensors }: SavedState): void {
    this.#finished.push(...position.finished);
    if (position.finished.length === 0) return;
    const sums = (kind: SumKind) =>
      this.#shape.parameters.map(({ name }) => tensors.get(tensorName(kind, name))!.data as Float32Array);
    this.#starts = sums('starts');
    this.#ends = sums('ends');
    const { data } = tensors.get(BLEND_LOGITS)!;
    const each = data.length / BLENDS.length;
    this.#logits = BLENDS.map((_, i) => (data as Float32Array).slice(i * each, (i + 1) * each));
  }

  #logitsTensor(): Tensor {
    const { labels } = this.#shape;
    const data = this.#logits.reduce(concatenate);
    return { shape: [BLENDS.length, data.length / BLENDS.length / labels, labels], data };
  }
}

function sum(sums: readonly Float32Array[], addends: readonly Float32Array[]): readonly Float32Array[] {
  if (sums.length === 0) return addends;
  for (const [i, total] of sums.entries()) {
    const addend = addends[i]!;
    for (let k = 0; k < total.length; k++) total[k]! += addend[k]!;
  }
  return sums;
}

function concatenate(a: Float32Array, b: Float32Array): Float32Array {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

import { Heap } from '../heap.ts';
import type { SubWordModel } from './sub-words.ts';

export interface ByteLevelBpeSpec {
  /** Ids of pieces, which are written in the characters that stand for bytes. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Pairs of pieces to join, the most urgent first. */
  readonly merges: readonly (readonly [string, string])[];
  /** True if a word that is a piece as a whole is never split. */
  readonly ignoreMerges: boolean;
  /** True if a text gets a blank at its start unless it has one. */
  readonly addPrefixSpace: boolean;
  readonly normalize: (text: string) => string;
}

/**
 * GPT-2's pattern for splitting a text (tokenizers/src/pre_tokenizers/byte_level.rs): English contractions, letters, digits, other signs,
 * each with the blank before it, and blanks. White space is Unicode's, which differs from JavaScript's `\s`.
 */
const WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Bound of ids, so that a pair of them is one exact number. */
const MAX_IDS = 2 ** 26;

/**
 * The byte-level BPE of GPT-2 and RoBERTa, equal to Hugging Face's tokenizers in Rust. A word's bytes are joined pair by pair: the pair
 * that comes first among the merges goes first, and of equal ones the leftmost.
 */
export class ByteLevelBpe implements SubWordModel {
  readonly normalize: (text: string) => string;
  readonly #spec: ByteLevelBpeSpec;
  /** Id of each byte. */
  readonly #bytes: Int32Array;
  /** Rank of a merge and the id of its result, under the key left · MAX_IDS + right. */
  readonly #merges = new Map<number, { readonly rank: number; readonly id: number }>();
  readonly #encoder = new TextEncoder();

  /** @throws {RangeError} naming the byte or merge that the vocabulary lacks */
  constructor(spec: ByteLevelBpeSpec) {
    this.#spec = spec;
    this.normalize = spec.normalize;
    const idOf = (piece: string) => {
      const id = spec.vocab.get(piece);
      if (id === undefined || id >= MAX_IDS) throw new RangeError(`vocab has no ${JSON.stringify(piece)}`);
      return id;
    };
    this.#bytes = Int32Array.from(BYTE_CHARACTERS, idOf);
    for (const [rank, [left, right]] of spec.merges.entries()) {
      this.#merges.set(idOf(left) * MAX_IDS + idOf(right), { rank, id: idOf(left + right) });
    }
  }

  *words(text: string): Generator<string> {
    const whole = this.#spec.addPrefixSpace && !text.startsWith(' ') ? ` ${text}` : text;
    for (const [word] of whole.matchAll(WORDS)) yield word;
  }

  pieces(word: string): readonly number[] {
    const bytes = this.#encoder.encode(word);
    if (this.#spec.ignoreMerges) {
      const id = this.#spec.vocab.get(Array.from(bytes, (byte) => BYTE_CHARACTERS[byte]).join(''));
      if (id !== undefined) return [id];
    }
    return this.#join(Int32Array.from(bytes, (byte) => this.#bytes[byte]!));
  }

  /**
   * Joins the pieces in `ids` in place; a piece that was joined to the one before it becomes -1. Any word of n bytes takes n log n steps.
   */
  #join(ids: Int32Array): readonly number[] {
    const next = Int32Array.from(ids, (_, at) => at + 1);
    const previous = Int32Array.from(ids, (_, at) => at - 1);
    const queue = new Heap<Merge>(isBefore);
    const consider = (at: number) => {
      const right = next[at]!;
      const merge = right < ids.length ? this.#merges.get(ids[at]! * MAX_IDS + ids[right]!) : undefined;
      if (merge) queue.push({ rank: merge.rank, id: merge.id, at, left: ids[at]!, right: ids[right]! });
    };
    for (let at = 0; at + 1 < ids.length; at++) consider(at);
    for (let merge = queue.pop(); merge; merge = queue.pop()) {
      const { at, id } = merge;
      const right = next[at]!;
      // The pair may have changed since it was queued.
      if (ids[at] !== merge.left || right >= ids.length || ids[right] !== merge.right) continue;
      ids[at] = id;
      ids[right] = -1;
      next[at] = next[right]!;
      if (next[at]! < ids.length) previous[next[at]!] = at;
      consider(at);
      if (previous[at]! >= 0) consider(previous[at]!);
    }
    return Array.from(ids.filter((id) => id >= 0));
  }
}

interface Merge {
  readonly rank: number;
  /** Id of the joined piece. */
  readonly id: number;
  /** Index of its left piece. */
  readonly at: number;
  readonly left: number;
  readonly right: number;
}

const isBefore = (a: Merge, b: Merge) => a.rank < b.rank || (a.rank === b.rank && a.at < b.at);

/**
 * The visible character for each byte: the byte's own character if visible, else the next one from U+0100 on (GPT-2's `bytes_to_unicode`).
 */
const BYTE_CHARACTERS: readonly string[] = (() => {
  let hidden = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const visible =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
    return String.fromCharCode(visible ? byte : 0x100 + hidden++);
  });
})();

import type { AddedTokens } from './added-tokens.ts';

/** Words whose pieces are remembered: real texts repeat theirs. */
const MAX_REMEMBERED = 50_000;
/** Longer words are rare and would fill the memory. */
const MAX_REMEMBERED_LENGTH = 64;
/** Characters a token that are read of a text; what lies beyond them is cut off unread, to bound the time. */
const CHARS_PER_TOKEN = 200;

/** What differs between tokenizers that split a normalized text into words and each word into pieces of a vocabulary. */
export interface SubWordModel {
  normalize(text: string): string;
  words(text: string): Iterable<string>;
  /** Ids of a word's pieces. */
  pieces(word: string): readonly number[];
}

/** Added tokens, then a model's words, one at a time until a text's first tokens are known. */
export class SubWords {
  readonly #model: SubWordModel;
  readonly #added: { raw: AddedTokens; normalized: AddedTokens };
  readonly #remembered = new Map<string, readonly number[]>();

  /** `raw` tokens are found in the text as it came, `normalized` ones in what the model normalizes it to. */
  constructor(model: SubWordModel, added: { raw: AddedTokens; normalized: AddedTokens }) {
    this.#model = model;
    this.#added = added;
  }

  /** Ids of the first `limit` tokens, without the special ones around them, and whether there were more. */
  encode(text: string, limit: number): { ids: number[]; truncated: boolean } {
    const read = text.slice(0, limit * CHARS_PER_TOKEN).toWellFormed();
    const ids: number[] = [];
    for (const pieces of this.#tokens(read)) {
      for (const id of pieces) ids.push(id);
      if (ids.length > limit) break;
    }
    const truncated = ids.length > limit || read.length < text.length;
    if (ids.length > limit) ids.length = limit;
    return { ids, truncated };
  }

  *#tokens(text: string): Generator<readonly number[]> {
    for (const part of this.#added.raw.split(text)) {
      if (typeof part === 'number') {
        yield [part];
        continue;
      }
      for (const piece of this.#added.normalized.split(this.#model.normalize(part))) {
        if (typeof piece === 'number') yield [piece];
        else for (const word of this.#model.words(piece)) yield this.#pieces(word);
      }
    }
  }

  #pieces(word: string): readonly number[] {
    const known = this.#remembered.get(word);
    if (known) return known;
    const pieces = this.#model.pieces(word);
    if (word.length > MAX_REMEMBERED_LENGTH) return pieces;
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(word, pieces);
    return pieces;
  }
}

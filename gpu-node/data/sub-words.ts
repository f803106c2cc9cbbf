import type { AddedTokens } from './added-tokens.ts';

/** Most words whose pieces are remembered; real texts repeat theirs. */
const MAX_REMEMBERED = 50_000;
/** Longest remembered word; longer ones are rare and would fill the memory. */
const MAX_REMEMBERED_LENGTH = 64;
/** Characters of a text that are read per token; the rest is cut off unread, to bound the time. */
const CHARS_PER_TOKEN = 200;

/** The variable part of tokenizers that split a normalized text into words and each word into pieces of a vocabulary. */
export interface SubWordModel {
  normalize(text: string): string;
  words(text: string): Iterable<string>;
  /** Ids of a word's pieces. */
  pieces(word: string): readonly number[];
}

/** Splits a text at added tokens and then into a model's words, one at a time, until its first tokens are known. */
export class SubWords {
  readonly #model: SubWordModel;
  readonly #added: { raw: AddedTokens; normalized: AddedTokens };
  readonly #remembered = new Map<string, readonly number[]>();

  /** `raw` tokens are searched in the raw text, `normalized` ones in the text after the model's normalization. */
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

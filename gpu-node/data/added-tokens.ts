/** A token that is searched in the text itself, before anything is split, e.g. `<mask>`. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** True to match only where it is no part of a longer word. */
  readonly single_word: boolean;
  /** True to include the blanks before it, and behind it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** True to search the normalized text instead of the raw one. */
  readonly normalized: boolean;
}

/** The characters of \w in Rust's regular expressions, which differ from JavaScript's. */
const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE = /\p{White_Space}/u;

/**
 * Splits texts at added tokens. The leftmost match goes first, and of several there the longest, as in
 * tokenizers/src/tokenizer/added_vocabulary.rs.
 */
export class AddedTokens {
  readonly #tokens = new Map<string, AddedToken>();
  readonly #pattern: RegExp | undefined;

  constructor(tokens: readonly AddedToken[]) {
    for (const token of tokens) this.#tokens.set(token.content, token);
    const longestFirst = [...this.#tokens.keys()].sort((a, b) => b.length - a.length);
    const escaped = longestFirst.map((content) => content.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
    if (tokens.length > 0) this.#pattern = new RegExp(escaped.join('|'), 'gu');
  }

  /** Yields the text's parts in order: the id of a token, or the text between two. */
  *split(text: string): Generator<number | string> {
    let done = 0;
    for (const { 0: content, index } of this.#pattern ? text.matchAll(this.#pattern) : []) {
      const { id, single_word, lstrip, rstrip } = this.#tokens.get(content)!;
      let [begin, end] = [index, index + content.length];
      if (single_word && (isAt(WORD, text, begin - 1) || isAt(WORD, text, end))) continue;
      while (lstrip && begin > done && isAt(SPACE, text, begin - 1)) begin--;
      while (rstrip && isAt(SPACE, text, end)) end++;
      if (begin > done) yield text.slice(done, begin);
      yield id;
      done = end;
    }
    if (done < text.length) yield text.slice(done);
  }
}

function isAt(kind: RegExp, text: string, at: number): boolean {
  const code = text.codePointAt(at);
  if (code === undefined) return false;
  // Behind the first half of a character lies its second half; then the whole character is the one before.
  const whole = code >= 0xdc00 && code <= 0xdfff ? (text.codePointAt(at - 1) ?? code) : code;
  return kind.test(String.fromCodePoint(whole));
}

import type { WordPieceSpec } from './tokenizer-spec.ts';

/** Kinds of characters after BERT's normalization. */
const UNSEEN = 0;
const REMOVED = 1;
const SPACE = 2;
/** The character is a word by itself. */
const ALONE = 3;
const LETTER = 4;
/** The character becomes several. */
const MIXED = 5;

/** Most words whose pieces are remembered; real texts repeat theirs. */
const MAX_REMEMBERED = 50_000;

/**
 * BERT's tokenizer in one pass that stops after `limit` tokens, so that the cost of a text of a megabyte depends on the part that is kept.
 * It equals Hugging Face's tokenizers in Rust: BertNormalizer, then BertPreTokenizer, then WordPiece, each of which works on a single
 * character or word. That library's JavaScript port handles whole texts, takes time in the cube of a word's length, and differs in Greek
 * capitals and rare Chinese characters.
 */
export class WordPiece {
  readonly #spec: WordPieceSpec;
  /** Kind and normalized form of each character of the basic plane, filled when it is first seen. */
  readonly #kinds = new Uint8Array(0x10000);
  readonly #forms: string[] = [];
  /** Pieces that begin a word, and pieces that continue one, without their prefix. */
  readonly #starts = new Map<string, number>();
  readonly #continuations = new Map<string, number>();
  #longestPiece = 0;
  readonly #remembered = new Map<string, readonly number[]>();
  /** Added tokens such as `[SEP]` by their first character, longer ones first; they are searched in the raw text. */
  readonly #added = new Map<number, [string, number][]>();

  constructor(spec: WordPieceSpec) {
    this.#spec = spec;
    for (const [piece, id] of spec.vocab) {
      const goesOn = piece.startsWith(spec.continuingPrefix) && piece !== spec.continuingPrefix;
      const text = goesOn ? piece.slice(spec.continuingPrefix.length) : piece;
      (goesOn ? this.#continuations : this.#starts).set(text, id);
      this.#longestPiece = Math.max(this.#longestPiece, text.length);
    }
    for (const token of [...spec.addedTokens].sort(([a], [b]) => b.length - a.length)) {
      const first = token[0].codePointAt(0)!;
      this.#added.set(first, [...(this.#added.get(first) ?? []), token]);
    }
  }

  /** Ids of the first `limit` tokens, without the special ones around them, and whether there were more. */
  encode(text: string, limit: number): { ids: number[]; truncated: boolean } {
    const ids: number[] = [];
    const word = new Word(this.#spec.maxWordChars);
    for (let at = 0; at < text.length && ids.length <= limit; ) {
      const code = text.codePointAt(at)!;
      const added = this.#added.get(code)?.find(([token]) => text.startsWith(token, at));
      if (added) {
        this.#flush(word, ids);
        ids.push(added[1]);
        at += added[0].length;
      } else {
        this.#take(code, word, ids);
        at += code > 0xffff ? 2 : 1;
      }
    }
    this.#flush(word, ids);
    const truncated = ids.length > limit;
    if (truncated) ids.length = limit;
    return { ids, truncated };
  }

  #take(code: number, word: Word, ids: number[]): void {
    if (this.#kinds[code] === UNSEEN) this.#see(code);
    const kind = code > 0xffff ? MIXED : this.#kinds[code];
    if (kind === LETTER) word.add(this.#forms[code]!);
    else if (kind === SPACE) this.#flush(word, ids);
    else if (kind === ALONE) this.#takeAlone(this.#forms[code]!, word, ids);
    else if (kind === MIXED) this.#takeForm(this.#forms[code] ?? this.#normalize(code), word, ids);
  }

  #takeAlone(character: string, word: Word, ids: number[]): void {
    this.#flush(word, ids);
    word.add(character);
    this.#flush(word, ids);
  }

  #takeForm(form: string, word: Word, ids: number[]): void {
    for (const character of form) {
      if (isSpace(character)) this.#flush(word, ids);
      else if (isPunctuation(character)) this.#takeAlone(character, word, ids);
      else word.add(character);
    }
  }

  #see(code: number): void {
    const form = this.#normalize(code);
    this.#forms[code] = form;
    if (form === '') this.#kinds[code] = REMOVED;
    else if (form.length > 1) this.#kinds[code] = MIXED;
    else if (isSpace(form)) this.#kinds[code] = SPACE;
    else this.#kinds[code] = isPunctuation(form) ? ALONE : LETTER;
  }

  /** Applies BertNormalizer to one character: a removed one gives '', a Chinese one gets spaces around it. */
  #normalize(code: number): string {
    const { cleanText, chineseChars, stripAccents, lowercase } = this.#spec;
    let form = String.fromCodePoint(code);
    if (cleanText) {
      if (code === 0 || code === 0xfffd || isControl(form)) return '';
      if (isSpace(form)) return ' ';
    }
    const isAlone = chineseChars && isChinese(code);
    if (stripAccents) form = form.normalize('NFD').replace(/\p{Mn}/gu, '');
    // Upstream lowers one character at a time, so a sigma at the end of a word stays the usual letter.
    if (lowercase) form = Array.from(form, (character) => character.toLowerCase()).join('');
    return isAlone ? ` ${form} ` : form;
  }

  #flush(word: Word, ids: number[]): void {
    if (word.characters === 0) return;
    if (word.isTooLong) ids.push(this.#spec.unknownId);
    else for (const id of this.#pieces(word.text)) ids.push(id);
    word.clear();
  }

  #pieces(word: string): readonly number[] {
    const known = this.#remembered.get(word);
    if (known) return known;
    const pieces = this.#split(word);
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(word, pieces);
    return pieces;
  }

  /** Splits a word from left to right, the longest piece first; a word with an unknown part is unknown as a whole. */
  #split(word: string): readonly number[] {
    const ids: number[] = [];
    for (let start = 0; start < word.length; ) {
      const pieces = start === 0 ? this.#starts : this.#continuations;
      let end = Math.min(word.length, start + this.#longestPiece);
      let id: number | undefined;
      for (; end > start; end--) {
        id = pieces.get(word.slice(start, end));
        if (id !== undefined) break;
      }
      if (id === undefined) return [this.#spec.unknownId];
      ids.push(id);
      start = end;
    }
    return ids;
  }
}

/** The word being read. Characters beyond the longest known word are counted and not kept. */
class Word {
  readonly #maxCharacters: number;
  text = '';
  characters = 0;

  constructor(maxCharacters: number) {
    this.#maxCharacters = maxCharacters;
  }

  get isTooLong(): boolean {
    return this.characters > this.#maxCharacters;
  }

  add(character: string): void {
    this.characters++;
    if (!this.isTooLong) this.text += character;
  }

  clear(): void {
    this.text = '';
    this.characters = 0;
  }
}

function isControl(character: string): boolean {
  return !/[\t\n\r]/.test(character) && /[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/u.test(character);
}

/** True for Unicode's White_Space, which differs from JavaScript's `\s`. */
function isSpace(character: string): boolean {
  return /\p{White_Space}/u.test(character);
}

function isPunctuation(character: string): boolean {
  return /[\p{P}!-/:-@[-`{-~]/u.test(character);
}

/** True for the blocks that tokenizers/src/normalizers/bert.rs lists. */
function isChinese(code: number): boolean {
  return (
    (code >= 0x4e00 && code <= 0x9fff) ||
    (code >= 0x3400 && code <= 0x4dbf) ||
    (code >= 0x20000 && code <= 0x2a6df) ||
    (code >= 0x2a700 && code <= 0x2b73f) ||
    (code >= 0x2b740 && code <= 0x2b81f) ||
    (code >= 0x2b920 && code <= 0x2ceaf) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0x2f800 && code <= 0x2fa1f)
  );
}

import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { parseTokenizerFile, wordPieceSpec } from './tokenizer-spec.ts';
import { WordPiece } from './word-piece.ts';

/** One text as the model reads it. */
export interface EncodedText {
  /** Token ids, special tokens included; at most the length asked for. */
  ids: Int32Array;
  /** Whether tokens were cut off. */
  truncated: boolean;
}

/** Turns texts into token ids. */
export interface Tokenizer {
  /** Encodes one text into at most `maxLength` tokens, special tokens included. */
  encode(text: string, maxLength: number): EncodedText;
  /** Special tokens after every text, which stay where it is cut. */
  readonly suffix: readonly number[];
}

/**
 * The tokenizer of a base model's folder, from its tokenizer.json. BERT's own is Weft's (`word-piece.ts`); any other kind is
 * `@huggingface/tokenizers`'.
 * @param name the base model's, for messages; the folder's where not given
 * @throws AppError naming the field of tokenizer.json that does not fit
 */
export async function loadTokenizer(folder: string, name = basename(folder)): Promise<Tokenizer> {
  return createTokenizer(await readFile(join(folder, 'tokenizer.json'), 'utf8'), name);
}

/** The same from the text of a tokenizer.json. */
export function createTokenizer(text: string, name: string): Tokenizer {
  const file = parseTokenizerFile(text, name);
  const spec = wordPieceSpec(file);
  if (!spec) return libraryTokenizer(JSON.parse(text) as object);
  const words = new WordPiece(spec);
  const around = spec.prefix.length + spec.suffix.length;
  return {
    suffix: spec.suffix,
    encode(input, maxLength) {
      const { ids, truncated } = words.encode(input, Math.max(0, maxLength - around));
      return { ids: Int32Array.from([...spec.prefix, ...ids, ...spec.suffix]), truncated };
    },
  };
}

/** Characters a token that the library is asked for; what lies beyond them is cut off unread, to bound the time. */
const CHARS_PER_TOKEN = 200;

function libraryTokenizer(file: object): Tokenizer {
  const library = new LibraryTokenizer(file, {});
  const bareIds = (text: string): number[] => library.encode(text, { add_special_tokens: false }).ids;
  const whole: number[] = library.encode('a').ids;
  const bare = bareIds('a');
  const begin = whole.findIndex((_, at) => bare.every((id, i) => whole[at + i] === id));
  const [prefix, suffix] = [whole.slice(0, begin), whole.slice(begin + bare.length)];
  return {
    suffix,
    encode(input, maxLength) {
      const cut = input.slice(0, maxLength * CHARS_PER_TOKEN);
      const ids = bareIds(cut);
      const kept = ids.slice(0, Math.max(0, maxLength - prefix.length - suffix.length));
      return {
        ids: Int32Array.from([...prefix, ...kept, ...suffix]),
        truncated: kept.length < ids.length || cut !== input,
      };
    },
  };
}

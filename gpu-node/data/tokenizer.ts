import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '../../shared/errors.ts';
import { AddedTokens } from './added-tokens.ts';
import { ByteLevelBpe } from './byte-level-bpe.ts';
import { byteLevelBpeFile, unigramFile } from './sub-word-specs.ts';
import { type SubWordModel, SubWords } from './sub-words.ts';
import {
  parsePart,
  parseTokenizerFile,
  surroundingsFile,
  type TokenizerFile,
  wordPieceFile,
} from './tokenizer-spec.ts';
import { Unigram } from './unigram.ts';
import { WordPiece } from './word-piece.ts';

/** One text in the form that the model reads. */
export interface EncodedText {
  /** Token ids, special tokens included; at most the length asked for. */
  ids: Int32Array;
  /** True if tokens were cut off. */
  truncated: boolean;
}

/** Turns texts into token ids. */
export interface Tokenizer {
  /** Encodes one text into at most `maxLength` tokens, special tokens included. */
  encode(text: string, maxLength: number): EncodedText;
  /** Special tokens at the end of every text; they stay when it is cut. */
  readonly suffix: readonly number[];
}

/**
 * Loads the tokenizer of a base model's folder from its tokenizer.json. It gives the ids of Hugging Face's tokenizers in Rust.
 * @param name the base model's name for messages; the folder's by default
 * @throws AppError naming the field of tokenizer.json that does not fit, and the supported values
 */
export async function loadTokenizer(folder: string, name = basename(folder)): Promise<Tokenizer> {
  return createTokenizer(await readFile(join(folder, 'tokenizer.json'), 'utf8'), name);
}

/** Encodes a text into the ids of its first `limit` tokens, without the special ones around them, and says whether there were more. */
interface Encoder {
  encode(text: string, limit: number): { ids: readonly number[]; truncated: boolean };
}

/** Every kind of tokenizer, by the `type` of the model in its file. */
const KINDS: Readonly<Record<string, (file: TokenizerFile, name: string) => Encoder>> = {
  WordPiece: (file, name) => new WordPiece(parsePart(wordPieceFile, file, name)),
  BPE: (file, name) => subWords(file, new ByteLevelBpe(parsePart(byteLevelBpeFile, file, name))),
  Unigram: (file, name) => subWords(file, new Unigram(parsePart(unigramFile, file, name))),
};

function subWords({ added_tokens }: TokenizerFile, model: SubWordModel): SubWords {
  const [normalized, raw] = [true, false].map((each) => added_tokens.filter((t) => t.normalized === each));
  return new SubWords(model, {
    raw: new AddedTokens(raw!),
    normalized: new AddedTokens(
      normalized!.map((token) => ({ ...token, content: model.normalize(token.content) })),
    ),
  });
}

/** Makes the same tokenizer from the text of a tokenizer.json. */
export function createTokenizer(text: string, name: string): Tokenizer {
  const file = parseTokenizerFile(text, name);
  const { type } = file.model;
  const known = Object.keys(KINDS).join(', ');
  if (!Object.hasOwn(KINDS, type)) {
    const shown = JSON.stringify(type.slice(0, 80));
    throw new AppError(
      'internal_error',
      `base model ${name}: tokenizer.json: the model is ${shown}, supported: ${known}`,
    );
  }
  const encoder = encoderOf(file, name);
  const { prefix, suffix } = parsePart(surroundingsFile, file, name);
  const around = prefix.length + suffix.length;
  return {
    suffix,
    encode(input, maxLength) {
      const { ids, truncated } = encoder.encode(input, Math.max(0, maxLength - around));
      return { ids: Int32Array.from([...prefix, ...ids, ...suffix]), truncated };
    },
  };
}

function encoderOf(file: TokenizerFile, name: string): Encoder {
  try {
    return KINDS[file.model.type]!(file, name);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new AppError('internal_error', `base model ${name}: tokenizer.json: ${cause.message}`, { cause });
  }
}

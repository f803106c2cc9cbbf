import { loadTokenizer, type Tokenizer } from '../../gpu-node/data/tokenizer.ts';
import { anyText } from './grammar/text.ts';
import { expect, expectEqual } from './oracle.ts';
import type { Check } from './target.ts';
import { TOKENIZERS } from './tokenizer-file.ts';

const MAX_LENGTHS = [128, 3, 8, 512];
const WHOLLY_READ_CHARS = 200;

/**
 * Fuzzes every kind of tokenizer with texts of up to a megabyte: there is never an error, never more tokens than asked for, and always the
 * same result.
 */
export async function tokenizerText(): Promise<Check> {
  const tokenizers = await Promise.all(TOKENIZERS.map((name) => loadTokenizer(`test/fixtures/${name}`)));
  return (choices) => {
    const tokenizer = choices.pick(tokenizers);
    const text = choices.note('text', anyText(choices));
    const maxLength = choices.pick(MAX_LENGTHS);
    const { ids, truncated } = checkEncoding(tokenizer, text, maxLength);
    // Some tokenizers read only the start of a longer text, and its last token may belong to a word that is cut there.
    if (text.length > WHOLLY_READ_CHARS) return;
    const longer = tokenizer.encode(text, maxLength + 64).ids;
    const same = truncated ? maxLength - tokenizer.suffix.length : longer.length;
    expectEqual(
      [...longer.subarray(0, same)],
      [...ids.subarray(0, same)],
      'the tokens of a text with more room',
    );
  };
}

/** Encodes twice. @throws a finding where that throws, differs or gives tokens that no model takes */
export function checkEncoding(tokenizer: Tokenizer, text: string, maxLength: number) {
  const first = tokenizer.encode(text, maxLength);
  expectEqual([...tokenizer.encode(text, maxLength).ids], [...first.ids], 'the tokens of the same text');
  expect(
    first.ids.length <= maxLength,
    `${first.ids.length} tokens where at most ${maxLength} are asked for`,
  );
  expect(
    first.ids.every((id) => id >= 0),
    `a token is ${first.ids.find((id) => id < 0)}`,
  );
  return first;
}

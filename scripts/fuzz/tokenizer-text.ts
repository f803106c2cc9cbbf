import { loadTokenizer, type Tokenizer } from '../../gpu-node/data/tokenizer.ts';
import { anyText } from './grammar/text.ts';
import { expect, expectEqual } from './oracle.ts';
import type { Check } from './target.ts';
import { TOKENIZERS } from './tokenizer-file.ts';

const MAX_LENGTHS = [128, 3, 8, 512];
const WHOLLY_READ_CHARS = 200;

/** Any text, up to a megabyte, through every kind of tokenizer: never an error, never more tokens than asked for, always the same. */
export async function tokenizerText(): Promise<Check> {
  const tokenizers = await Promise.all(TOKENIZERS.map((name) => loadTokenizer(`test/fixtures/${name}`)));
  return (choices) => {
    const tokenizer = choices.pick(tokenizers);
    const text = choices.note('text', anyText(choices));
    const maxLength = choices.pick(MAX_LENGTHS);
    const { ids, truncated } = checkEncoding(tokenizer, text, maxLength);
    // Of a longer one some tokenizers read no more than the start, and its last token may be of a word that is cut there.
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

/** Encodes twice. @throws a finding where that throws, differs or gives what no model takes */
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

import { readFile } from 'node:fs/promises';
import { createTokenizer } from '../../gpu-node/data/tokenizer.ts';
import { jsonText } from './grammar/json.ts';
import { anyText } from './grammar/text.ts';
import { outcomeOfInstalled } from './oracle.ts';
import type { Check } from './target.ts';
import { checkEncoding } from './tokenizer-text.ts';

export const TOKENIZERS = ['tokenizer', 'tiny-roberta', 'tiny-xlm-roberta', 'tiny-distilbert'] as const;
const MAX_LENGTHS = [16, 2, 8, 512];

/** Fuzzes tokenizer files of a base model's folder: each is refused by an error that names the place, or tokenizes any text. */
export async function tokenizerFile(): Promise<Check> {
  const files = await Promise.all(
    TOKENIZERS.map(
      async (name): Promise<unknown> =>
        JSON.parse(await readFile(`test/fixtures/${name}/tokenizer.json`, 'utf8')),
    ),
  );
  return async (choices) => {
    const text = choices.note('tokenizer.json', jsonText(choices.pick(files), choices));
    const made = await outcomeOfInstalled('tokenizer.json: ', () => createTokenizer(text, 'fuzzed'));
    if ('refused' in made) return;
    for (let left = choices.between(1, 3); left > 0; left--) {
      checkEncoding(made.value, choices.note('text', anyText(choices, 8)), choices.pick(MAX_LENGTHS));
    }
  };
}

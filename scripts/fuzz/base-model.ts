import { readFile } from 'node:fs/promises';
import { parseArchitecture } from '../../gpu-node/models/index.ts';
import { jsonText } from './grammar/json.ts';
import { expect, outcomeOfInstalled } from './oracle.ts';
import type { Check } from './target.ts';

const FIXTURES = ['tiny-bert', 'tiny-roberta', 'tiny-xlm-roberta', 'tiny-distilbert'];

/** Fuzzes a base model's config.json: it is refused by an error that names the field, or gives an architecture of bounded sizes. */
export async function baseModel(): Promise<Check> {
  const configs = await Promise.all(
    FIXTURES.map(
      async (name): Promise<unknown> =>
        JSON.parse(await readFile(`test/fixtures/${name}/config.json`, 'utf8')),
    ),
  );
  return async (choices) => {
    const text = choices.note('config.json', jsonText(choices.pick(configs), choices));
    const made = await outcomeOfInstalled('config.json', () => {
      const config = parsed(text);
      return config === undefined ? undefined : parseArchitecture(config, 'fuzzed');
    });
    expect(!choices.isSound || 'value' in made, 'a sound config.json is refused');
    if ('refused' in made || made.value === undefined) return;
    for (const pooling of ['mean', 'cls'] as const)
      expect(made.value.linears(pooling).length > 0, 'it has no layers');
    for (const { name, shape } of made.value.weights) {
      expect(
        shape.every((size) => Number.isSafeInteger(size) && size > 0),
        `weight ${name} is [${shape}]`,
      );
    }
  };
}

/** Parses JSON. Text that is none is refused where the file is read. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

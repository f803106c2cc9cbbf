import { z } from 'zod';
import { type AdapterConfig, jsonText, parseJson } from './adapter-config.ts';
import { ADAPTER_CONFIG_FILE, HEAD_CONFIG_FILE, type WeftFile } from './adapter-format.ts';
import type { EncoderSizes } from './methods/format.ts';
import { type AnyConfigInput, fileTypes, formatOf, methodOfFile } from './methods/index.ts';
import { fail, shown } from './methods/refusal.ts';
import { parseWith, requireKnown } from './methods/settings.ts';
import type { Pooling } from './peft-config.ts';

/*
 * The two files of settings that AdapterHub's library writes (adapters 1.2, `AdapterLoader` and `PredictionHeadLoader` of loading.py) for a
 * model of transformers' own class.
 */

const VERSION = 'adapters.1.2.0';

const adapterFile = z.looseObject({
  config: z.looseObject({ architecture: z.string().nullish() }),
  model_name: z.string().nullish(),
  name: z.string().min(1).max(128),
});

const headFile = z.looseObject({
  config: z
    .null('only the head of a transformers class is served, such as BertForSequenceClassification')
    .optional(),
  model_class: z
    .string()
    .regex(
      /ForSequenceClassification$/,
      'only the head of a …ForSequenceClassification of transformers is served',
    ),
});

/** What an adapter that Weft trained is called in AdapterHub's files. */
export const HUB_NAME = 'weft';

/** Reads both. Throws `invalid_adapter`, naming file and key, for what is not served. */
export function parseHubConfigs(
  textOf: (file: typeof ADAPTER_CONFIG_FILE | typeof HEAD_CONFIG_FILE) => string,
  what: string,
): AdapterConfig {
  const [adapterIn, headIn] = [`${what}: ${ADAPTER_CONFIG_FILE}`, `${what}: ${HEAD_CONFIG_FILE}`];
  const { config, model_name, name } = parseWith(
    adapterFile,
    parseJson(textOf(ADAPTER_CONFIG_FILE), adapterIn),
    adapterIn,
  );
  parseWith(headFile, parseJson(textOf(HEAD_CONFIG_FILE), headIn), headIn);
  const { architecture, ...own } = config;
  const method = methodOfFile('adapterhub', architecture ?? 'bottleneck', own);
  if (!method) {
    const served = fileTypes('adapterhub').join(', ');
    return fail(
      adapterIn,
      `config.architecture: ${shown(architecture ?? '')} is not served, of AdapterHub's only ${served}`,
    );
  }
  const { keys, withoutEffect, parse } = formatOf(method);
  const parsed = parseWith(z.looseObject(keys), own, adapterIn);
  requireKnown(parsed, [...Object.keys(keys), ...withoutEffect], adapterIn);
  return { method, baseModel: model_name ?? null, name, ...(parse(parsed, what) as object) } as AdapterConfig;
}

/** Their texts: `adapter_config.json` and `head_config.json`. */
export function hubConfigTexts(input: AnyConfigInput, { labels, pooling }: WeftFile): [string, string] {
  const { method, encoder, baseModel } = input;
  const about = {
    hidden_size: encoder.hiddenSize,
    model_class: className(encoder, pooling),
    model_name: baseModel,
    model_type: encoder.type,
    version: VERSION,
  };
  const config = Object.fromEntries(
    Object.entries(formatOf(method.type).write(input)).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  const adapter = jsonText({ ...about, config, name: HUB_NAME });
  const label2id = Object.fromEntries(labels.map((label, i) => [label, i]));
  const head = jsonText({ ...about, config: null, label2id, name: null, num_labels: labels.length });
  // The library tells Python's numbers by their type, and refuses a scaling of 4 where it takes 4.0.
  return [adapter.replace(/("scaling": \d+)(?=,?\n)/g, '$1.0'), head];
}

const CLASS_OF_TYPE: Readonly<Record<string, string>> = {
  bert: 'Bert',
  roberta: 'Roberta',
  'xlm-roberta': 'XLMRoberta',
  distilbert: 'DistilBert',
};

/** The class whose head it is: transformers' own, or for the mean of the tokens the one of docs/adapters.md. The library loads the head into no other. */
function className({ type, family }: EncoderSizes, pooling: Pooling): string {
  const of = CLASS_OF_TYPE[type] ?? CLASS_OF_TYPE[family.name]!;
  return `${of}${pooling === 'mean' ? 'Mean' : ''}ForSequenceClassification`;
}

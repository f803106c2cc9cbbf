import { z } from 'zod';
import { ADAPTER_CONFIG_FILE } from './adapter-format.ts';
import { AppError } from './errors.ts';
import type { AnyConfigInput, FileConfig, MethodType } from './methods/index.ts';
import { fileTypes, formatOf, methodOfFile } from './methods/index.ts';
import { parseWith, requireKnown } from './methods/settings.ts';

/** What an adapter's files of settings say, which decides how an adapter's tensors are applied. */
export type AdapterConfig = {
  [M in MethodType]: { method: M; baseModel: string | null } & FileConfig<M>;
}[MethodType];

const PEFT_TYPES = fileTypes('peft');

/** What Weft reads whatever the method. What it cannot honour is refused by name: a key that PEFT would act on and Weft would not gives wrong scores in silence. */
const everyMethod = z.looseObject({
  peft_type: z.enum(PEFT_TYPES, {
    error: `only ${PEFT_TYPES.map((type) => JSON.stringify(type)).join(', ')} is served`,
  }),
  task_type: z.literal('SEQ_CLS', 'only "SEQ_CLS" is served'),
  modules_to_save: z
    .array(
      z.enum(['classifier', 'pre_classifier', 'score'], 'only the classifier is saved beside the adapter'),
    )
    .nullish(),
  base_model_name_or_path: z.string().nullish(),
});

/** Keys that do not affect the result: they record what was trained, how, and by which release. */
const WITHOUT_EFFECT = [
  'auto_mapping',
  'exclude_modules',
  'inference_mode',
  'layers_pattern',
  'layers_to_transform',
  'peft_version',
  'revision',
  'target_modules',
];

/**
 * Reads an `adapter_config.json`. `what` names the adapter in messages, e.g. `adapter spam@3`. Throws `invalid_adapter`, naming the key,
 * where the configuration cannot be served.
 */
export function parseAdapterConfig(text: string, what: string): AdapterConfig {
  const file = `${what}: ${ADAPTER_CONFIG_FILE}`;
  const json = parseJson(text, file);
  const { peft_type, base_model_name_or_path, ...others } = parseWith(everyMethod, json, file);
  const method = methodOfFile('peft', peft_type, others)!;
  const { keys, withoutEffect, parse } = formatOf(method);
  const config = parseWith(z.looseObject(keys), json, file);
  requireKnown(
    config,
    [...Object.keys(everyMethod.shape), ...Object.keys(keys), ...WITHOUT_EFFECT, ...withoutEffect],
    file,
  );
  return {
    method,
    baseModel: base_model_name_or_path ?? null,
    ...(parse(config, what) as object),
  } as AdapterConfig;
}

/** @param file names a file in messages, e.g. `adapter spam@3: adapter_config.json` @throws {AppError} `invalid_adapter` */
export function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('invalid_adapter', `${file} is not JSON`, { cause });
  }
}

/** The text of `adapter_config.json`: every key of PEFT's own file, sorted, indented by 2. */
export function adapterConfigJson(input: AnyConfigInput): string {
  const { method, baseModel, revision } = input;
  const { peftType, write } = formatOf(method.type);
  const config: Record<string, unknown> = {
    auto_mapping: null,
    base_model_name_or_path: baseModel,
    inference_mode: true,
    modules_to_save: ['classifier', 'score'],
    peft_type: peftType,
    revision,
    task_type: 'SEQ_CLS',
    ...write(input),
  };
  return jsonText(config);
}

/** As Python's libraries write it: keys sorted, indented by 2. */
export function jsonText(object: Readonly<Record<string, unknown>>): string {
  const sorted = Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`;
}

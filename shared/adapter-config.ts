import { z } from 'zod';
import { AppError } from './errors.ts';
import type { AnyConfigInput, FileConfig, MethodType } from './methods/index.ts';
import { formatOf, methodOfFile, PEFT_TYPES } from './methods/index.ts';

/** The content of `adapter_config.json`, which decides how an adapter's tensors are applied. */
export type AdapterConfig = {
  [M in MethodType]: { method: M; baseModel: string | null } & FileConfig<M>;
}[MethodType];

/**
 * The keys that Weft reads for every method. A key that PEFT would act on and Weft would not is refused by name, because ignoring it would
 * give wrong scores in silence.
 */
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

/** True if a key of the file that no rule mentions could have an effect. */
function isSet(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== null && value !== false && value !== undefined;
}

/**
 * Reads an `adapter_config.json`. `what` names the adapter in messages, e.g. `adapter spam@3`. Throws `invalid_adapter`, naming the key,
 * where the configuration cannot be served.
 */
export function parseAdapterConfig(text: string, what: string): AdapterConfig {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new AppError('invalid_adapter', `${what}: adapter_config.json is not JSON`, { cause });
  }
  const { peft_type, base_model_name_or_path, ...others } = parseWith(everyMethod, json, what);
  const method = methodOfFile(peft_type, others);
  const { keys, withoutEffect, parse } = formatOf(method);
  const config = parseWith(z.looseObject(keys), json, what);
  const known = new Set([
    ...Object.keys(everyMethod.shape),
    ...Object.keys(keys),
    ...WITHOUT_EFFECT,
    ...withoutEffect,
  ]);
  const unknown = Object.keys(config).find((key) => !known.has(key) && isSet(config[key]));
  if (unknown !== undefined) {
    const shown = JSON.stringify(unknown.slice(0, 120));
    throw new AppError('invalid_adapter', `${what}: adapter_config.json: ${shown} is not supported`);
  }
  return {
    method,
    baseModel: base_model_name_or_path ?? null,
    ...(parse(config, what) as object),
  } as AdapterConfig;
}

function parseWith<S extends z.ZodType>(schema: S, json: unknown, what: string): z.infer<S> {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue?.path.length ? `${issue.path.join('.').slice(0, 120)}: ` : '';
  throw new AppError('invalid_adapter', `${what}: adapter_config.json: ${where}${issue?.message}`);
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
  const sorted = Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`;
}

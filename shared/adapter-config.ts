import { z } from 'zod';
import { AppError } from './errors.ts';
import { type LoraConfig, MAX_RANK } from './peft-config.ts';

/**
 * `adapter_config.json` as HF PEFT writes it (peft/tuners/lora/config.py, release 0.21). What Weft cannot honour is refused
 * by name: a key that PEFT would act on and Weft would not gives wrong scores in silence.
 */
const rank = z.int().min(1).max(MAX_RANK);
const alpha = z.number().positive().max(1e6);

/** PEFT's initializations that leave the base model's weights as they are. */
const HARMLESS_INITS = ['gaussian', 'orthogonal', 'eva'];

const adapterConfig = z.looseObject({
  peft_type: z.literal('LORA', 'only "LORA" is served'),
  task_type: z.literal('SEQ_CLS', 'only "SEQ_CLS" is served'),
  r: rank.default(8),
  lora_alpha: alpha.default(8),
  rank_pattern: z.record(z.string(), rank).nullish(),
  alpha_pattern: z.record(z.string(), alpha).nullish(),
  use_rslora: z.boolean().default(false),
  use_dora: z.boolean().default(false),
  bias: z.literal('none', 'only "none" is served: biases belong to the base model').default('none'),
  init_lora_weights: z
    .union([z.boolean(), z.enum(HARMLESS_INITS)], {
      error: 'this initialization changes the base model itself; have PEFT convert the adapter to plain LoRA',
    })
    .nullish(),
  modules_to_save: z
    .array(z.enum(['classifier', 'pre_classifier', 'score'], 'only the classifier is saved beside LoRA'))
    .nullish(),
  base_model_name_or_path: z.string().nullish(),
});

/** Keys that say nothing about the result: what was trained, how, and by which release. */
const WITHOUT_EFFECT = new Set([
  'auto_mapping',
  'eva_config',
  'exclude_modules',
  'inference_mode',
  'layers_pattern',
  'layers_to_transform',
  'lora_dropout',
  'megatron_core',
  'peft_version',
  'qalora_group_size',
  'revision',
  'runtime_config',
  'target_modules',
]);

/** What decides how an adapter's tensors are applied. */
export interface AdapterConfig {
  r: number;
  alpha: number;
  rslora: boolean;
  dora: boolean;
  /** PEFT's patterns with their value, in the file's order: the first that matches a module counts. */
  rankPattern: readonly (readonly [RegExp, number])[];
  alphaPattern: readonly (readonly [RegExp, number])[];
  baseModel: string | null;
}

/**
 * PEFT matches `(.*\.)?(KEY)$` at the start of a module's name. A stranger's regular expression can take for ever, so only what
 * matches in linear time is a KEY here: names, `.`, `\.`, `\d`, `[…]`, `|`, `^`, `$`, with neither group nor repetition.
 */
function modulePattern(key: string, field: string, what: string): RegExp {
  const linear = /^(?:[A-Za-z0-9_.|^$-]|\\[.d]|\[[A-Za-z0-9_-]+\]){1,256}$/.test(key);
  try {
    if (linear) return new RegExp(`^(?:.*\\.)?(?:${key})$`);
  } catch {
    // Falls through: `[z-a]` passes the test above and is no expression.
  }
  const shown = JSON.stringify(key.slice(0, 120));
  throw new AppError(
    'invalid_adapter',
    `${what}: adapter_config.json: ${field} ${shown} must be a plain module name such as "layer.0.attention.self.query"`,
  );
}

function patterns(map: Record<string, number> | null | undefined, field: string, what: string) {
  return Object.entries(map ?? {}).map(([key, value]) => [modulePattern(key, field, what), value] as const);
}

/** Whether a key of the file that no rule mentions could have an effect. */
function isSet(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== null && value !== false && value !== undefined;
}

/**
 * Reads an `adapter_config.json`. `what` names the adapter in messages, e.g. `adapter spam@3`. Throws `invalid_adapter`, naming
 * the key, for anything but LoRA or DoRA of a sequence classifier.
 */
export function parseAdapterConfig(text: string, what: string): AdapterConfig {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new AppError('invalid_adapter', `${what}: adapter_config.json is not JSON`, { cause });
  }
  const parsed = adapterConfig.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.length ? `${issue.path.join('.').slice(0, 120)}: ` : '';
    throw new AppError('invalid_adapter', `${what}: adapter_config.json: ${where}${issue?.message}`);
  }
  const config = parsed.data;
  for (const [key, value] of Object.entries(config)) {
    if (Object.hasOwn(adapterConfig.shape, key) || WITHOUT_EFFECT.has(key) || !isSet(value)) continue;
    const shown = JSON.stringify(key.slice(0, 120));
    throw new AppError('invalid_adapter', `${what}: adapter_config.json: ${shown} is not supported`);
  }
  return {
    r: config.r,
    alpha: config.lora_alpha,
    rslora: config.use_rslora,
    dora: config.use_dora,
    rankPattern: patterns(config.rank_pattern, 'rank_pattern', what),
    alphaPattern: patterns(config.alpha_pattern, 'alpha_pattern', what),
    baseModel: config.base_model_name_or_path ?? null,
  };
}

/** Rank and scaling (alpha / r, or alpha / sqrt(r)) of one module, by its name in transformers' classification model. */
export function loraScaling(config: AdapterConfig, module: string): { r: number; scaling: number } {
  const matching = (pairs: AdapterConfig['rankPattern']) =>
    pairs.find(([pattern]) => pattern.test(module))?.[1];
  const r = matching(config.rankPattern) ?? config.r;
  const alpha = matching(config.alphaPattern) ?? config.alpha;
  return { r, scaling: alpha / (config.rslora ? Math.sqrt(r) : r) };
}

export interface AdapterConfigInput {
  method: LoraConfig;
  /** Names of the modules that were trained, e.g. `bert.encoder.layer.0.attention.self.query`. */
  modules: readonly string[];
  /** What `from_pretrained` should load: a hub repository or a path; and its revision. */
  baseModel: string;
  revision: string | null;
}

/**
 * The text of `adapter_config.json`: every key of PEFT's own file, sorted, indented by 2. `all-linear` is written out as the
 * modules' full names, as PEFT does.
 */
export function adapterConfigJson({ method, modules, baseModel, revision }: AdapterConfigInput): string {
  const targets = method.target_modules === 'all-linear' ? modules : method.target_modules;
  const config = {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: baseModel,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: method.alpha,
    lora_dropout: method.dropout,
    modules_to_save: ['classifier', 'score'],
    peft_type: 'LORA',
    r: method.r,
    rank_pattern: {},
    revision,
    target_modules: [...targets].sort(),
    task_type: 'SEQ_CLS',
    use_dora: method.use_dora,
    use_rslora: method.use_rslora,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

import { z } from 'zod';
import { AppError } from '../errors.ts';
import type { TensorEntry } from '../safetensors.ts';
import { common, MAX_RANK, orAuto, targetModules } from './fields.ts';
import { type AdapterFile, type AdapterFormat, byModule, moduleKinds, tensor, tensorName } from './format.ts';
import { type BaseShape, type LinearTarget, linearSides } from './places.ts';
import { fail, shown } from './refusal.ts';

/**
 * PEFT matches `(.*\.)?(KEY)$` at the start of a module's name. A stranger's regular expression can take for ever, so only what matches in
 * linear time is a KEY here: names, `.`, `\.`, `\d`, `[…]`, `|`, `^`, `$`, with neither group nor repetition.
 */
function patternOf(key: string): RegExp | undefined {
  if (!/^(?:[A-Za-z0-9_.|^$-]|\\[.d]|\[[A-Za-z0-9_-]+\]){1,256}$/.test(key)) return undefined;
  try {
    return new RegExp(`^(?:.*\\.)?(?:${key})$`);
  } catch {
    // `[z-a]` passes the test above and is no expression.
    return undefined;
  }
}

const PLAIN_KEY = 'must be a plain module name such as "layer.0.attention.self.query"';
const MAX_PATTERNS = 64;

/** A value by the name of a module, as PEFT's patterns give one. */
const byPattern = <T extends z.ZodType>(value: T) =>
  z
    .record(
      z.string().refine((key) => patternOf(key) !== undefined, PLAIN_KEY),
      value,
    )
    .refine((map) => Object.keys(map).length <= MAX_PATTERNS, `at most ${MAX_PATTERNS} names`);

const fields = {
  r: z.int().min(1).max(MAX_RANK),
  alpha: z.number().positive().max(4096),
  dropout: z.number().min(0).max(0.9),
  use_rslora: z.boolean(),
  use_dora: z.boolean(),
  target_modules: targetModules,
  ...common,
};

/** Modules whose r or alpha is another, by name; the first that matches a module counts. */
const patterns = {
  rank_pattern: byPattern(fields.r),
  alpha_pattern: byPattern(fields.alpha),
};

/**
 * LoRA (Hu et al. 2021, arXiv:2106.09685): y = Wx + b + s·B·A·dropout(x), s = alpha / r, or alpha / sqrt(r) with
 * `use_rslora` (arXiv:2312.03732). `use_dora` also trains the norm of each output's weights (Liu et al. 2024, arXiv:2402.09353).
 */
export const loraConfig = z.strictObject({
  type: z.literal('lora'),
  ...fields,
  rank_pattern: patterns.rank_pattern.optional(),
  alpha_pattern: patterns.alpha_pattern.optional(),
});
export type LoraConfig = z.infer<typeof loraConfig>;
export const loraRequest = z.strictObject({
  type: z.literal('lora').default('lora'),
  ...orAuto({ ...fields, ...patterns }),
});

/** QLoRA (Dettmers et al. 2023, arXiv:2305.14314) is LoRA over a base model in NF4, and becomes that. */
export const qloraRequest = loraRequest
  .extend({ type: z.literal('qlora'), base_precision: z.enum(['auto', 'nf4']).default('auto') })
  .transform((request): z.infer<typeof loraRequest> => ({ ...request, type: 'lora', base_precision: 'nf4' }));

/**
 * One linear layer that an adapter changes: y = W'x + b with W' = W + scaling·B·A; with a magnitude (DoRA) each row of W' is
 * scaled to the norm that the magnitude says.
 */
export interface LoraTarget extends LinearTarget {
  readonly r: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly scaling: number;
  /** A is [r, in], B is [out, r]. */
  readonly a: TensorEntry;
  readonly b: TensorEntry;
  /** [out]; null for plain LoRA. Either all targets of an adapter have one or none. */
  readonly magnitude: TensorEntry | null;
}

/** What decides how an adapter's tensors are applied. */
export interface LoraFileConfig {
  readonly r: number;
  readonly alpha: number;
  readonly rslora: boolean;
  readonly dora: boolean;
  /** It has no effect on what the adapter answers, so it is shown where it is sound and not insisted upon. */
  readonly dropout: number;
  /** PEFT's patterns with their value, in the file's order: the first that matches a module counts. */
  readonly rankPattern: Readonly<Record<string, number>>;
  readonly alphaPattern: Readonly<Record<string, number>>;
}

const rank = z.int().min(1).max(MAX_RANK);
const alpha = z.number().positive().max(1e6);

/** PEFT's initializations that leave the base model's weights as they are. */
const HARMLESS_INITS = ['gaussian', 'orthogonal', 'eva'];

/** PEFT's `init_lora_weights`. */
export const loraInitialization = z
  .union([z.boolean(), z.enum(HARMLESS_INITS)], {
    error: 'this initialization changes the base model itself; have PEFT convert the adapter to plain LoRA',
  })
  .nullish();

const keys = z.object({
  r: rank.default(8),
  lora_alpha: alpha.default(8),
  lora_dropout: z.number().min(0).max(0.9).catch(0),
  rank_pattern: z.record(z.string(), rank).nullish(),
  alpha_pattern: z.record(z.string(), alpha).nullish(),
  use_rslora: z.boolean().default(false),
  use_dora: z.boolean().default(false),
  bias: z.literal('none', 'only "none" is served, or "all" where biases alone were trained').default('none'),
  init_lora_weights: loraInitialization,
});

/** LoRA and DoRA as HF PEFT writes them (peft/tuners/lora/config.py, release 0.21). */
export const loraFormat: AdapterFormat<LoraConfig, LoraFileConfig, LoraTarget> = {
  peftType: 'LORA',
  learningRate: 1e-3,
  ...byModule('LoRA matrix', /^base_model\.model\.(.+)\.lora_(?:[AB]\.weight|magnitude_vector)$/, describe),
  keys: keys.shape,
  withoutEffect: ['eva_config', 'megatron_core', 'qalora_group_size', 'runtime_config'],
  parse: (file, what) => {
    const config = file as z.infer<typeof keys>;
    return {
      r: config.r,
      alpha: config.lora_alpha,
      rslora: config.use_rslora,
      dora: config.use_dora,
      dropout: config.lora_dropout,
      rankPattern: plainKeys(config.rank_pattern, 'rank_pattern', what),
      alphaPattern: plainKeys(config.alpha_pattern, 'alpha_pattern', what),
    };
  },
  tensorsOf: (target) => {
    const { module, r, a, b, magnitude } = target;
    const sides = (base: BaseShape, what: string) => linearSides(target, base, what);
    return [
      { label: `lora_A of ${module}`, entry: a, needed: (...on) => [r, sides(...on)[0]] },
      { label: `lora_B of ${module}`, entry: b, needed: (...on) => [sides(...on)[1], r] },
      ...(magnitude
        ? [
            {
              label: `lora_magnitude_vector of ${module}`,
              entry: magnitude,
              needed: (...on: Parameters<typeof sides>) => [sides(...on)[1]],
            },
          ]
        : []),
    ];
  },
  gainsOf: ({ module, a, b, scaling, magnitude }, normOf) => [
    [`lora_A of ${module}`, normOf(a)],
    [`lora_B of ${module}, scaled by ${scaling},`, scaling * normOf(b)],
    [`lora_B times lora_A of ${module}, scaled by ${scaling},`, scaling * normOf(b) * normOf(a)],
    ...(magnitude ? [[`lora_magnitude_vector of ${module}`, normOf(magnitude)] as const] : []),
  ],
  methodOf: ({ r, alpha, dropout, rslora, dora, rankPattern, alphaPattern }, targets, family) => ({
    type: 'lora',
    r,
    alpha,
    dropout,
    use_rslora: rslora,
    use_dora: dora,
    target_modules: moduleKinds(targets, family),
    ...whereGiven({ rank_pattern: rankPattern, alpha_pattern: alphaPattern }),
  }),
  write: ({ method, modules }) => ({
    alpha_pattern: method.alpha_pattern ?? {},
    bias: 'none',
    fan_in_fan_out: false,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: method.alpha,
    lora_dropout: method.dropout,
    r: method.r,
    rank_pattern: method.rank_pattern ?? {},
    target_modules: (method.target_modules === 'all-linear'
      ? [...modules]
      : [...method.target_modules]
    ).sort(),
    use_dora: method.use_dora,
    use_rslora: method.use_rslora,
  }),
};

/** The tensor of a module's A or B in PEFT's file. */
export function loraTensorName(module: string, matrix: 'A' | 'B'): string {
  return tensorName(module, `lora_${matrix}.weight`);
}

/** The tensor of a module's DoRA magnitude in PEFT's file. */
export function magnitudeTensorName(module: string): string {
  return tensorName(module, 'lora_magnitude_vector');
}

/** Rank and scaling (alpha / r, or alpha / sqrt(r)) of one module, by its name in transformers' classification model. */
export function loraScaling(
  config: Omit<LoraFileConfig, 'dora' | 'dropout'>,
  module: string,
): { r: number; scaling: number } {
  const matching = (map: LoraFileConfig['rankPattern']) =>
    Object.entries(map).find(([key]) => isMeantByPattern(key, module))?.[1];
  const r = matching(config.rankPattern) ?? config.r;
  const scaledBy = matching(config.alphaPattern) ?? config.alpha;
  return { r, scaling: scaledBy / (config.rslora ? Math.sqrt(r) : r) };
}

function describe(module: string, { config, header, what }: AdapterFile<LoraFileConfig>): LoraTarget {
  const a = tensor(header, loraTensorName(module, 'A'), 2, what);
  const b = tensor(header, loraTensorName(module, 'B'), 2, what);
  const [rows = 0, inFeatures = 0] = a.shape;
  const [outFeatures = 0, columns = 0] = b.shape;
  const { r, scaling } = loraScaling(config, module);
  if (rows !== r) {
    fail(what, `lora_A of ${shown(module)} is [${a.shape}], adapter_config.json gives it rank ${r}`);
  }
  if (columns !== r) {
    fail(what, `lora_B of ${shown(module)} is [${b.shape}], adapter_config.json gives it rank ${r}`);
  }
  const name = magnitudeTensorName(module);
  if (!config.dora && header.tensors.has(name)) {
    fail(what, `tensor ${shown(name)} is of DoRA, adapter_config.json does not say use_dora`);
  }
  const magnitude = config.dora ? tensor(header, name, 1, what) : null;
  if (magnitude && magnitude.shape[0] !== outFeatures) {
    fail(what, `lora_magnitude_vector of ${shown(module)} is [${magnitude.shape}], lora_B is [${b.shape}]`);
  }
  return { module, r, inFeatures, outFeatures, scaling, a, b, magnitude };
}

/** Whether a key of a pattern means a module. */
export function isMeantByPattern(key: string, module: string): boolean {
  return patternOf(key)?.test(module) ?? false;
}

/** A method's patterns, of those that say something. */
export function whereGiven(maps: Pick<LoraConfig, 'rank_pattern' | 'alpha_pattern'>) {
  const said = Object.entries(maps).filter(([, map]) => Object.keys(map ?? {}).length > 0);
  return Object.fromEntries(said) as typeof maps;
}

function plainKeys(map: Record<string, number> | null | undefined, field: string, what: string) {
  const strange = Object.keys(map ?? {}).find((key) => patternOf(key) === undefined);
  if (strange === undefined) return map ?? {};
  const cut = JSON.stringify(strange.slice(0, 120));
  throw new AppError('invalid_adapter', `${what}: adapter_config.json: ${field} ${cut} ${PLAIN_KEY}`);
}

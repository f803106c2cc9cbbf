import { z } from 'zod';

export const POOLINGS = ['mean', 'cls'] as const;
export const BASE_PRECISIONS = ['fp32', 'int8', 'nf4'] as const;
export const MAX_RANK = 256;
export const MAX_SEQUENCE_LENGTH = 512;

export const pooling = z.enum(POOLINGS);
export type Pooling = z.infer<typeof pooling>;
export const basePrecision = z.enum(BASE_PRECISIONS);
export type BasePrecision = z.infer<typeof basePrecision>;

/** A linear layer's name as PEFT matches it: the whole dotted name or a suffix of it, e.g. `query` or `output.dense`. */
const targetModule = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$/, 'a module name such as "query" or "attention.output.dense"');

const targetModules = z.union([z.array(targetModule).min(1).max(64), z.literal('all-linear')]);

/** Beside the fields of every method: what the head reads of a text, and what the base model is held in. */
const common = { pooling, base_precision: basePrecision };
export type CommonField = keyof typeof common;

/**
 * LoRA (Hu et al. 2021, arXiv:2106.09685): y = Wx + b + s·B·A·dropout(x), s = alpha / r, or alpha / sqrt(r) with
 * `use_rslora` (arXiv:2312.03732). `use_dora` also trains the norm of each output's weights (Liu et al. 2024, arXiv:2402.09353).
 */
export const loraConfig = z.strictObject({
  type: z.literal('lora'),
  r: z.int().min(1).max(MAX_RANK),
  alpha: z.number().positive().max(4096),
  dropout: z.number().min(0).max(0.9),
  use_rslora: z.boolean(),
  use_dora: z.boolean(),
  target_modules: targetModules,
  ...common,
});
export type LoraConfig = z.infer<typeof loraConfig>;

/**
 * (IA)³ (Liu et al. 2022, arXiv:2205.05638): the outputs of `target_modules` times a trained vector, and of those that `feedforward_modules`
 * names too the inputs.
 */
export const ia3Config = z.strictObject({
  type: z.literal('ia3'),
  target_modules: targetModules,
  feedforward_modules: z.array(targetModule).max(64),
  ...common,
});
export type Ia3Config = z.infer<typeof ia3Config>;

/** Every method, told apart by `type`; a new one is a member here and below, and a row in `gpu-node/methods` and `shared/formats`. */
export const peftConfig = z.discriminatedUnion('type', [loraConfig, ia3Config]);
export type PeftConfig = z.infer<typeof peftConfig>;

export const hyperparameters = z.strictObject({
  epochs: z.int().min(1).max(100),
  batch_size: z.int().min(1).max(256),
  learning_rate: z.number().positive().max(1),
  max_length: z.int().min(8).max(MAX_SEQUENCE_LENGTH),
  warmup_ratio: z.number().min(0).max(1),
  weight_decay: z.number().min(0).max(1),
  max_grad_norm: z.number().positive().max(1000),
  class_weights: z.union([z.literal('none'), z.record(z.string(), z.number().positive().max(1000))]),
});
export type Hyperparameters = z.infer<typeof hyperparameters>;

type AutoField<T extends z.ZodType> = z.ZodDefault<z.ZodUnion<readonly [z.ZodLiteral<'auto'>, T]>>;
type AutoShape<S extends z.ZodRawShape> = {
  [K in keyof S]: S[K] extends z.ZodType ? AutoField<S[K]> : never;
};

/** The same object with every field free to be `"auto"`, which is also its default. */
function orAuto<S extends z.ZodRawShape>(shape: S): AutoShape<S> {
  const entries = Object.entries(shape).map(([name, field]) => [
    name,
    z.union([z.literal('auto'), field as z.ZodType]).default('auto'),
  ]);
  return Object.fromEntries(entries) as AutoShape<S>;
}

const { type: _loraType, ...loraFields } = loraConfig.shape;

const { type: _ia3Type, ...ia3Fields } = ia3Config.shape;

const loraRequest = z.strictObject({ type: z.literal('lora').default('lora'), ...orAuto(loraFields) });
const ia3Request = z.strictObject({ type: z.literal('ia3'), ...orAuto(ia3Fields) });

type LoraRequest = z.infer<typeof loraRequest>;

/** QLoRA (Dettmers et al. 2023, arXiv:2305.14314) is LoRA over a base model in NF4, and becomes that. */
const qloraRequest = loraRequest
  .extend({ type: z.literal('qlora'), base_precision: z.enum(['auto', 'nf4']).default('auto') })
  .transform((request): LoraRequest => ({ ...request, type: 'lora', base_precision: 'nf4' }));

/** A method as a request may give it, LoRA where it names none; what `"auto"` came to is shown in the adapter. */
export const peftRequest = z.discriminatedUnion('type', [loraRequest, qloraRequest, ia3Request], {
  unionFallback: true,
});
export type PeftRequest = z.infer<typeof peftRequest>;

export const hyperparametersRequest = z.strictObject(orAuto(hyperparameters.shape));
export type HyperparametersRequest = z.infer<typeof hyperparametersRequest>;

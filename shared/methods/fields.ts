import { z } from 'zod';

export const POOLINGS = ['mean', 'cls'] as const;
export const BASE_PRECISIONS = ['fp32', 'int8', 'nf4'] as const;
export const MAX_RANK = 256;
export const MAX_SEQUENCE_LENGTH = 512;
/** Every adapter reads at least so many tokens of a text, special tokens included. */
export const MIN_TEXT_TOKENS = 8;
/** Virtual tokens stand before the text, and take positions of the base model from it. */
export const MAX_VIRTUAL_TOKENS = MAX_SEQUENCE_LENGTH - MIN_TEXT_TOKENS;

export const pooling = z.enum(POOLINGS);
export type Pooling = z.infer<typeof pooling>;
export const basePrecision = z.enum(BASE_PRECISIONS);
export type BasePrecision = z.infer<typeof basePrecision>;

/** A linear layer's name as PEFT matches it: the whole dotted name or a suffix of it, e.g. `query` or `output.dense`. */
export const targetModule = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$/, 'a module name such as "query" or "attention.output.dense"');

export const targetModules = z.union([z.array(targetModule).min(1).max(64), z.literal('all-linear')]);

/** Beside the fields of every method: what the head reads of a text, and what the base model is held in. */
export const common = { pooling, base_precision: basePrecision };
export type CommonField = keyof typeof common;

type AutoField<T extends z.ZodType> = z.ZodDefault<z.ZodUnion<readonly [z.ZodLiteral<'auto'>, T]>>;
type AutoShape<S extends z.ZodRawShape> = {
  [K in keyof S]: S[K] extends z.ZodType ? AutoField<S[K]> : never;
};

/** The same object with every field free to be `"auto"`, which is also its default. */
export function orAuto<S extends z.ZodRawShape>(shape: S): AutoShape<S> {
  const entries = Object.entries(shape).map(([name, field]) => [
    name,
    z.union([z.literal('auto'), field as z.ZodType]).default('auto'),
  ]);
  return Object.fromEntries(entries) as AutoShape<S>;
}

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ENGINE_NAMES, type Settings } from './configurations.ts';

export const PROTOCOLS = {
  'held-out':
    'rows cut from train.jsonl choose the epoch, validation.jsonl is classified once, by the adapter that came of it',
  published:
    'validation.jsonl chooses the epoch and gives the figure of that epoch, as published; it is optimistic',
  explore: 'a fifth of train.jsonl, drawn by seed, stands for validation.jsonl, which is not read',
} as const;
export type Protocol = keyof typeof PROTOCOLS;

const fields = z.record(z.string(), z.unknown());

/** One training and its measurement. `seed` draws the split, the examples of few shots and all of the training. */
export const run = z.strictObject({
  configuration: z.string(),
  engine: z.enum(ENGINE_NAMES),
  settings: z.strictObject({
    method: fields,
    hyperparameters: fields,
    aims: fields.optional(),
    peer: fields.optional(),
  }),
  set: z.string(),
  seed: z.int().nonnegative(),
  protocol: z.enum(Object.keys(PROTOCOLS) as [Protocol, ...Protocol[]]),
  /** Training examples of each label, null for all. */
  shots: z.int().positive().nullable(),
  /** Most rows read of each file, null for all. */
  limit: z.int().positive().nullable(),
});
export type Run = Omit<z.infer<typeof run>, 'settings'> & { settings: Settings };

const epoch = z.strictObject({
  /** Number of the epoch, from 1. */
  epoch: z.int(),
  train_loss: z.number(),
  /** Loss on the rows that choose the epoch; null if there are none. */
  valid_loss: z.number().nullable(),
  valid_f1: z.number().nullable(),
});
export type Epoch = z.infer<typeof epoch>;

/** An engine's measurements of a run. */
export const measured = z.strictObject({
  /** The values that were chosen for `"auto"`. */
  resolved: fields,
  /** Metrics on the tested rows, as in `shared/metrics.ts`. */
  metrics: z.looseObject({ examples: z.int(), f1: z.number(), loss: z.number(), ece: z.number() }),
  epochs: z.array(epoch),
  /** Losses of training steps, each behind the number of epochs passed. */
  losses: z.array(z.tuple([z.number(), z.number()])),
  trainable_parameters: z.int(),
  trained_tokens: z.int(),
  /** Seconds of wall time, including the start of the process. */
  training_seconds: z.number(),
  tokens_per_second: z.number().nullable(),
  /** Bytes of the adapter's weights as stored. */
  adapter_bytes: z.int().optional(),
  /** Median milliseconds to answer a single tested text, with the adapter in its slot. */
  serving_milliseconds: z.number().optional(),
  /** Most bytes that the training process had resident, including files it maps; null where the system does not report it. */
  peak_bytes: z.int().nullable(),
});
export type Measured = z.infer<typeof measured>;

/** A finished run as stored on disk. */
export const result = z.strictObject({
  format: z.literal(1),
  key: z.string(),
  run,
  base: z.strictObject({ id: z.string(), parameters: z.int() }),
  /** Version of the engine that trained. */
  code: z.string(),
  threads: z.int(),
  measured,
});
export type Result = z.infer<typeof result>;

/** SHA-256 of each file that a run reads. */
export interface RunFiles {
  readonly base: string;
  readonly training: string;
  readonly test: string;
}

/**
 * Names a run by all its inputs: settings (except those left to `"auto"`), seed, protocol and the contents of its files. Runs of the same
 * name give the same figures, up to the version of the code.
 */
export function keyOf({ engine, settings, seed, protocol }: Run, files: RunFiles): string {
  const { method, hyperparameters, aims, peer } = settings;
  const told = [engine, method, hyperparameters, peer ?? {}, seed, ...(aims ? [aims] : [])];
  const choosesOn = protocol === 'published' ? 'test' : 'training';
  const text = JSON.stringify([...told, choosesOn, files.base, files.training, files.test], sortKeys);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** Makes objects equal that differ only in the order of their keys. */
function sortKeys(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

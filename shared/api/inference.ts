import { z } from 'zod';
import { adapterRef, unixSeconds } from './common.ts';
import { text } from './rows.ts';

export const MAX_INPUTS = 256;
export const MAX_CLASSIFY_BYTES = 1024 * 1024;

const mixedInput = z.strictObject({ model: adapterRef, text });

/** A classification: one adapter for all texts, or a mixed batch where each text names its own. */
export const classifyRequest = z.union([
  z.strictObject({ model: adapterRef, input: z.union([text, z.array(text).min(1).max(MAX_INPUTS)]) }),
  z.strictObject({ input: z.array(mixedInput).min(1).max(MAX_INPUTS) }),
]);
export type ClassifyRequest = z.infer<typeof classifyRequest>;

/** `X-Timeout-Ms`: milliseconds that the client will wait, including the time for a node to fetch the adapter. */
export const classifyHeaders = z.object({
  'x-timeout-ms': z.coerce.number().int().min(1).max(60_000).default(30_000),
});

/** One text's answer; `scores` are the softmax probabilities of every label. */
export const classification = z.object({
  index: z.int().nonnegative(),
  model: adapterRef,
  label: z.string(),
  score: z.number(),
  scores: z.record(z.string(), z.number()),
  truncated: z.boolean(),
});
export type Classification = z.infer<typeof classification>;

export const usage = z.object({ prompt_tokens: z.int(), total_tokens: z.int() });

export const classifyResponse = z.object({
  object: z.literal('list'),
  id: z.string(),
  created: z.int(),
  /** The adapter that answered; null for a mixed batch of several. */
  model: adapterRef.nullable(),
  data: z.array(classification),
  usage,
});
export type ClassifyResponse = z.infer<typeof classifyResponse>;

const textPart = z.strictObject({ type: z.literal('text', 'only texts are classified'), text });

/** `POST /v1/moderations`, as OpenAI's SDKs send it: `model` is the adapter. Every text, and every part, is answered by itself. */
export const moderationRequest = z.strictObject({
  model: adapterRef,
  input: z.union([text, z.array(text).min(1).max(MAX_INPUTS), z.array(textPart).min(1).max(MAX_INPUTS)]),
});

/** The labels as categories: that of the answer is true, and a text that has one is flagged. */
export const moderationResponse = z.object({
  id: z.string(),
  model: adapterRef,
  results: z.array(
    z.object({
      flagged: z.boolean(),
      categories: z.record(z.string(), z.boolean()),
      category_scores: z.record(z.string(), z.number()),
      category_applied_input_types: z.record(z.string(), z.array(z.literal('text'))),
    }),
  ),
});

const modelObject = z.object({
  id: z.string(),
  object: z.literal('model'),
  /** When a node registered it, or the adapter became ready. */
  created: unixSeconds,
  owned_by: z.string(),
});

/** A base model that nodes serve; it alone has `nodes`. */
export const baseModelObject = modelObject.extend({
  /** Precisions in which at least one node serves the model. */
  precisions: z.array(z.string()),
  /** Number of nodes that serve the model, in total and per precision. */
  nodes: z.int(),
  nodes_by_precision: z.record(z.string(), z.int()),
});

/** A ready adapter. */
export const adapterModelObject = modelObject.extend({ id: adapterRef, base_model: z.string() });

export const model = z.union([baseModelObject, adapterModelObject]);
export type Model = z.infer<typeof model>;

/** Most adapters that the list of models has; `GET /v1/adapters` has all. */
export const MAX_LISTED_MODELS = 1000;

export const modelDeleted = z.object({
  id: adapterRef,
  object: z.literal('model'),
  deleted: z.literal(true),
});

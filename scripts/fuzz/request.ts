import type { z } from 'zod';
import { invalidRequest } from '../../edge/invalid-request.ts';
import { createAdapter } from '../../shared/api/adapters.ts';
import { classifyRequest } from '../../shared/api/inference.ts';
import { AppError } from '../../shared/errors.ts';
import { jsonText } from './grammar/json.ts';
import { anyText } from './grammar/text.ts';
import { expect, outcomeOf } from './oracle.ts';
import type { Check } from './target.ts';

const EXAMPLES = ['a', 'b', 'c', 'd'].map((text, i) => ({ text, label: String(i % 2) }));
const METHOD = {
  type: 'lora',
  r: 8,
  alpha: 'auto',
  dropout: 0.1,
  use_rslora: false,
  use_dora: 'auto',
  target_modules: ['query'],
  rank_pattern: { query: 2 },
  pooling: 'mean',
  base_precision: 'fp32',
};
const HYPERPARAMETERS = { epochs: 2, batch_size: 'auto', learning_rate: 0.1, class_weights: { 0: 1, 1: 2 } };

/** Bodies of requests with their schemas. */
const BODIES: readonly { schema: z.ZodType; body: (text: string) => object }[] = [
  {
    schema: createAdapter,
    body: (text) => ({
      name: 'spam',
      examples: [...EXAMPLES, { text: `x${text}`, label: '0' }],
      validation_split: 0.1,
      method: METHOD,
      hyperparameters: HYPERPARAMETERS,
      seed: 1,
      metadata: { team: 'mail' },
    }),
  },
  { schema: classifyRequest, body: (text) => ({ model: 'spam@1', input: ['a text', `x${text}`] }) },
  { schema: classifyRequest, body: (text) => ({ input: [{ model: 'spam', text: `x${text}` }] }) },
];

/** Fuzzes JSON bodies: a fault must be described in words that name the field, however strange it is. */
export function request(): Check {
  return async (choices) => {
    const { schema, body } = choices.pick(BODIES);
    const text = choices.note(
      'body',
      jsonText(body(anyText(choices, 4).slice(0, 10_000).toWellFormed()), choices),
    );
    const outcome = await outcomeOf(() => {
      const parsed = schema.safeParse(json(text));
      if (!parsed.success) throw invalidRequest(parsed.error);
      return parsed.data;
    });
    expect(
      !choices.isSound || 'value' in outcome,
      `a sound body is refused: ${'refused' in outcome && outcome.refused.message}`,
    );
  };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('malformed_json', 'The body is not JSON.', { cause });
  }
}

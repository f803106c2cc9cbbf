import { describe, expect, it } from 'vitest';
import { autoOf } from '../../../console/places/training/auto-values.ts';
import { methodOf } from '../../../gpu-node/methods/index.ts';
import { bert } from '../../../gpu-node/models/bert.ts';
import { AUTO_FIELDS } from '../../../shared/auto-values.ts';
import { formatOf, METHOD_TYPES, type MethodType } from '../../../shared/methods/index.ts';
import { peftRequest } from '../../../shared/peft-config.ts';

/** What a node makes of a method whose every field is "auto", on a base model of this width. */
function resolved(type: MethodType, hidden_size: number): Record<string, unknown> {
  const architecture = bert({
    model_type: 'bert',
    vocab_size: 100,
    hidden_size,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    intermediate_size: 4 * hidden_size,
    max_position_embeddings: 64,
    type_vocab_size: 2,
    hidden_act: 'gelu',
    layer_norm_eps: 1e-12,
    initializer_range: 0.02,
  });
  const request = peftRequest.parse({ type }) as never;
  const { type: _, ...fields } = methodOf({ type }).resolve(request, architecture) as Record<string, unknown>;
  return fields;
}

describe('what "auto" comes to', () => {
  it.each(METHOD_TYPES)(
    'is said of %s as a node decides it, but for what follows from the base model',
    (type) => {
      const [narrow, wide] = [resolved(type, 24), resolved(type, 64)];
      const names = Object.keys(narrow).filter(
        (name) => JSON.stringify(narrow[name]) === JSON.stringify(wide[name]),
      );
      const { learning_rate, ...fields } = AUTO_FIELDS[type];
      expect(fields).toEqual(Object.fromEntries(names.map((name) => [name, narrow[name]])));
      expect(learning_rate).toBe(formatOf(type).learningRate);
    },
  );

  it('is shown in the form with the file and the method that are chosen', () => {
    const file = { examples: 600 };
    expect(autoOf('hyperparameters.epochs', file, {})).toBe('10');
    expect(autoOf('hyperparameters.batch_size', file, { validation_split: '0.9' })).toBe('8');
    expect(autoOf('validation_split', file, {})).toBe('60 of 600 rows');
    expect(autoOf('hyperparameters.learning_rate', file, { 'method.type': 'ia3' })).toBe('0.01');
    expect(autoOf('hyperparameters.learning_rate', undefined, {})).toBe('0.001');
    expect(autoOf('method.r', file, { 'method.type': 'lora' })).toBe('8');
    expect(autoOf('method.alpha', file, { 'method.type': 'lora', 'method.r': '4' })).toBe('8');
    expect(autoOf('method.width', file, { 'method.type': 'bottleneck' })).toBe('by the base model');
    expect(autoOf('seed', file, {})).toBeUndefined();
  });
});

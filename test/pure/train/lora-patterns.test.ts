import { describe, expect, it } from 'vitest';
import { methodOf } from '../../../gpu-node/methods/index.ts';
import { bert } from '../../../gpu-node/models/bert.ts';
import { resolveMethod } from '../../../gpu-node/train/auto.ts';
import { adapterConfigJson, parseAdapterConfig } from '../../../shared/adapter-config.ts';
import { FAMILIES } from '../../../shared/families.ts';
import { formatOf } from '../../../shared/methods/index.ts';
import { peftRequest } from '../../../shared/peft-config.ts';

const BERT = bert({
  model_type: 'bert',
  vocab_size: 100,
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 32,
  max_position_embeddings: 64,
  type_vocab_size: 2,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-12,
  initializer_range: 0.02,
});
const FACTS = {
  lengths: [8],
  architecture: BERT,
  poolings: ['mean', 'cls'] as const,
  fastestPrecision: 'fp32' as const,
};
const resolve = (request: object) => resolveMethod(peftRequest.parse({ type: 'lora', ...request }), FACTS);
const PATTERNS = {
  rank_pattern: { 'layer.1.attention.self.query': 3, query: 2 },
  alpha_pattern: { value: 1 },
};

describe("LoRA's patterns", () => {
  it('give modules a rank and a scale of their own, the first that matches', () => {
    const method = resolve({ r: 4, target_modules: ['query', 'value'], ...PATTERNS });
    expect(method).toMatchObject(PATTERNS);
    const ranks = methodOf(method)
      .trainables(method, BERT)
      .filter(({ name }) => name.endsWith('lora_A.weight'))
      .map(({ name, shape }) => [name.replace(/^.*layer\.|\.lora.*$/g, ''), shape[0]]);
    expect(Object.fromEntries(ranks)).toEqual({
      '0.attention.self.query': 2,
      '0.attention.self.value': 4,
      '1.attention.self.query': 3,
      '1.attention.self.value': 4,
    });
  });

  it('are not there where none is asked for', () => {
    expect(resolve({})).not.toHaveProperty('rank_pattern');
    expect(resolve({ rank_pattern: {}, alpha_pattern: 'auto' })).not.toHaveProperty('rank_pattern');
  });

  it('stand in the file in their order, and are shown of one that is imported', () => {
    const method = resolve({ r: 4, target_modules: ['query', 'value'], ...PATTERNS });
    const encoder = { type: 'bert', family: FAMILIES.bert, hiddenSize: 16, layers: 2, heads: 2 };
    const text = adapterConfigJson({ method, encoder, modules: [], baseModel: 'base', revision: null });
    expect(Object.keys(JSON.parse(text).rank_pattern)).toEqual(Object.keys(PATTERNS.rank_pattern));
    const config = parseAdapterConfig(text, 'the import');
    expect(formatOf('lora').methodOf(config, [], FAMILIES.bert)).toMatchObject(PATTERNS);
  });

  it.each(['rank_pattern', 'alpha_pattern'])('that mean no changed layer are refused: %s', (field) => {
    for (const name of ['nothing', 'key', 'layer.7.attention.self.query']) {
      const method = resolve({ target_modules: ['query'], [field]: { [name]: 2 } });
      expect(() => methodOf(method).modules(method, BERT)).toThrow(
        expect.objectContaining({
          code: 'invalid_request',
          param: `method.${field}`,
          message: `${field}: "${name}" is no layer that is changed, which are attention.self.query`,
        }),
      );
    }
  });

  it.each([
    { rank_pattern: { query: 0 } },
    { rank_pattern: { query: 257 } },
    { rank_pattern: { '(a+)+$': 2 } },
    { rank_pattern: { '': 2 } },
    { alpha_pattern: { query: 0 } },
    { rank_pattern: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`m${i}`, 2])) },
  ])('that cannot be are no request: %j', (request) => {
    expect(peftRequest.safeParse({ type: 'lora', ...request }).success).toBe(false);
  });
});

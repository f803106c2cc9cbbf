import { describe, expect, it } from 'vitest';
import { parseArchitecture } from '../../../gpu-node/models/index.ts';

const config = {
  model_type: 'bert',
  vocab_size: 200,
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 64,
  max_position_embeddings: 64,
  type_vocab_size: 2,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-12,
};
const parse = (changes: object) => parseArchitecture({ ...config, ...changes }, 'tiny');

describe('the architecture of a config.json', () => {
  it('knows its linear layers, the pooler only where it is used', () => {
    const { linears } = parse({});
    expect(linears('mean')).toHaveLength(12);
    expect(linears('mean')[4]).toEqual({
      name: 'bert.encoder.layer.0.intermediate.dense',
      inFeatures: 32,
      outFeatures: 64,
    });
    expect(linears('cls').map(({ name }) => name)).toContain('bert.pooler.dense');
  });

  it('takes texts no longer than its positions', () => {
    expect(parse({}).maxLength).toBe(64);
    expect(parse({ max_position_embeddings: 1024 }).maxLength).toBe(512);
  });

  it.each([
    [
      { model_type: 'gpt2' },
      'base model tiny: config.json says model_type "gpt2", supported: bert, roberta, xlm-roberta, distilbert',
    ],
    [{ model_type: 'constructor' }, 'supported: bert'],
    [{ model_type: undefined }, 'config.json: model_type'],
    [{ hidden_size: -1 }, 'config.json: hidden_size'],
    [{ hidden_size: 1e9 }, 'config.json: hidden_size'],
    [{ num_hidden_layers: 1.5 }, 'config.json: num_hidden_layers'],
    [{ num_attention_heads: 5 }, 'config.json: num_attention_heads: must divide hidden_size'],
    [{ hidden_act: 'relu' }, 'config.json: hidden_act'],
    [{ position_embedding_type: 'relative_key' }, 'config.json: position_embedding_type'],
    [{ is_decoder: true }, 'config.json: is_decoder'],
  ])('names the field that does not fit: %j', (changes, message) => {
    expect(() => parse(changes)).toThrow(message);
  });
});

import { describe, expect, it } from 'vitest';
import { parseArchitecture } from '../../../gpu-node/models/index.ts';

const roberta = {
  model_type: 'roberta',
  vocab_size: 200,
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 64,
  max_position_embeddings: 66,
  type_vocab_size: 1,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-5,
  pad_token_id: 1,
};
const distilbert = {
  model_type: 'distilbert',
  vocab_size: 200,
  dim: 32,
  n_layers: 2,
  n_heads: 4,
  hidden_dim: 64,
  max_position_embeddings: 64,
  activation: 'gelu',
};
const parse = (config: object, changes: object = {}) => parseArchitecture({ ...config, ...changes }, 'tiny');

describe('RoBERTa and XLM-RoBERTa', () => {
  it('are one family under two names', () => {
    for (const model_type of ['roberta', 'xlm-roberta']) {
      expect(parse(roberta, { model_type })).toMatchObject({
        type: model_type,
        family: { name: 'roberta' },
      });
    }
  });

  it('give positions to padding first', () => {
    expect(parse(roberta).maxLength).toBe(64);
    expect(parse(roberta, { max_position_embeddings: 514 }).maxLength).toBe(512);
    expect(parse(roberta, { pad_token_id: 5 }).maxLength).toBe(60);
  });

  it('have a trained layer where BERT has its pooler', () => {
    const { head, linears, weights } = parse(roberta);
    expect(head.layers).toEqual([
      { name: 'classifier.dense', inFeatures: 32, outFeatures: 32 },
      { name: 'classifier.out_proj', inFeatures: 32, outFeatures: 'labels' },
    ]);
    expect(linears('cls')).toEqual(linears('mean'));
    expect(linears('cls')).toHaveLength(12);
    expect(weights.every(({ optional }) => !optional)).toBe(true);
  });

  it('are read from files of a bare encoder too', () => {
    const [words] = parse(roberta).weights;
    expect(words!.name).toBe('roberta.embeddings.word_embeddings.weight');
    expect(words!.aliases).toEqual(['embeddings.word_embeddings.weight']);
  });

  it.each([
    [{ pad_token_id: 60 }, 'max_position_embeddings: must be at least pad_token_id + 1 + 8'],
    [{ pad_token_id: -1 }, 'config.json: pad_token_id'],
    [{ hidden_act: 'gelu_new' }, 'config.json: hidden_act'],
    [{ position_embedding_type: 'relative_key_query' }, 'config.json: position_embedding_type'],
    [{ is_decoder: true }, 'config.json: is_decoder'],
    [{ add_cross_attention: true }, 'config.json: add_cross_attention'],
    [{ num_attention_heads: 5 }, 'num_attention_heads: must divide hidden_size'],
    [{ vocab_size: 1e9 }, 'config.json: vocab_size'],
  ])('name the field that does not fit: %j', (changes, message) => {
    expect(() => parse(roberta, changes)).toThrow(message);
  });
});

describe('DistilBERT', () => {
  it('has names of its own for what BERT has', () => {
    const { head, linears } = parse(distilbert);
    expect(linears('mean').map(({ name }) => name.replace('distilbert.transformer.layer.0.', ''))).toEqual(
      expect.arrayContaining([
        'attention.q_lin',
        'attention.k_lin',
        'attention.v_lin',
        'attention.out_lin',
        'ffn.lin1',
        'ffn.lin2',
      ]),
    );
    expect(head.layers.map(({ name }) => name)).toEqual(['pre_classifier', 'classifier']);
  });

  it.each([
    [{ activation: 'relu' }, 'config.json: activation'],
    [{ n_heads: 5 }, 'n_heads: must divide dim'],
    [{ dim: 1e6 }, 'config.json: dim'],
    [{ n_layers: 0 }, 'config.json: n_layers'],
    [{ hidden_dim: undefined }, 'config.json: hidden_dim'],
  ])('names the field that does not fit: %j', (changes, message) => {
    expect(() => parse(distilbert, changes)).toThrow(message);
  });
});

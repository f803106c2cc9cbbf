import { describe, expect, it } from 'vitest';
import { bert } from '../../../gpu-node/models/bert.ts';
import { resolveHyperparameters, resolveMethod, type TrainingFacts } from '../../../gpu-node/train/auto.ts';
import {
  hyperparameters,
  hyperparametersRequest,
  peftConfig,
  peftRequest,
} from '../../../shared/peft-config.ts';

const BERT = bert({
  model_type: 'bert',
  vocab_size: 100,
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 64,
  max_position_embeddings: 512,
  type_vocab_size: 2,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-12,
  initializer_range: 0.02,
});

const facts = (examples: number, length = 40): TrainingFacts => ({
  lengths: new Array<number>(examples).fill(length),
  architecture: BERT,
  poolings: ['mean', 'cls'],
  fastestPrecision: 'fp32',
});
const method = (request: object, about = facts(100)) =>
  resolveMethod(peftRequest.parse({ type: 'lora', ...request }), about);
const settings = (request: object, about = facts(100), ofMethod = {}) =>
  resolveHyperparameters(hyperparametersRequest.parse(request), method(ofMethod), about);

describe('automatic settings', () => {
  it('come to a complete configuration', () => {
    expect(peftConfig.parse(method({}))).toEqual(method({}));
    for (const examples of [2, 50, 500, 5000, 100_000]) {
      const resolved = settings({}, facts(examples));
      expect(hyperparameters.parse(resolved)).toEqual(resolved);
    }
  });

  it('change every linear layer', () => {
    expect(method({})).toMatchObject({ target_modules: 'all-linear' });
  });

  it('take the precision that is fastest here', () => {
    const about = { ...facts(100), fastestPrecision: 'int8' as const };
    expect(method({}, about).base_precision).toBe('int8');
    expect(method({ base_precision: 'fp32' }, about).base_precision).toBe('fp32');
  });

  it('leave alone what is given', () => {
    expect(method({ r: 4, alpha: 3, dropout: 0, pooling: 'cls', target_modules: ['query'] })).toMatchObject({
      r: 4,
      alpha: 3,
      dropout: 0,
      pooling: 'cls',
      target_modules: ['query'],
    });
    expect(settings({ epochs: 1, learning_rate: 0.5 })).toMatchObject({ epochs: 1, learning_rate: 0.5 });
  });

  it('scale by 2 whatever the rank', () => {
    expect(method({ r: 64 })).toMatchObject({ r: 64, alpha: 128 });
  });

  it('take more passes over fewer examples', () => {
    const epochs = [20, 200, 600, 2000, 6000, 50_000].map((examples) => settings({}, facts(examples)).epochs);
    expect(epochs).toEqual([...epochs].sort((a, b) => b - a));
    expect(epochs[0]).toBeGreaterThanOrEqual(10);
    expect(epochs.at(-1)).toBeLessThanOrEqual(3);
  });

  it('keep nearly every text whole up to a bound', () => {
    expect(settings({}, facts(100, 33)).max_length).toBe(48);
    expect(settings({}, { ...facts(98), lengths: [...facts(98).lengths, 500, 500] }).max_length).toBe(48);
    expect(settings({}, facts(100, 512)).max_length).toBe(256);
    expect(settings({}, { ...facts(100, 512), architecture: { ...BERT, maxLength: 128 } }).max_length).toBe(
      128,
    );
  });

  it('refuse what the base model cannot do', () => {
    expect(() =>
      settings({ max_length: 512 }, { ...facts(9), architecture: { ...BERT, maxLength: 128 } }),
    ).toThrow('at most 128 tokens');
    expect(() => method({ pooling: 'cls' }, { ...facts(9), poolings: ['mean'] })).toThrow('use mean');
  });
});

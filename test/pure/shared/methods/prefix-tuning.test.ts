import { describe, expect, it } from 'vitest';
import { checkAgainstBase } from '../../../../shared/adapter-description.ts';
import { peftRequest } from '../../../../shared/peft-config.ts';
import { describeFiles, WHAT, zeros } from '../../../support/describe-files.ts';

const BASE = { family: 'bert' as const, hidden_size: 8, num_layers: 2, intermediate_size: 32 };

/** What PEFT 0.21.2 wrote for `PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=4, prefix_projection=True)` on BERT. */
const FROM_PEFT = {
  auto_mapping: null,
  base_model_name_or_path: 'bert',
  encoder_hidden_size: 16,
  inference_mode: true,
  init_weights: null,
  modules_to_save: ['classifier', 'score', 'classifier', 'score'],
  num_attention_heads: 4,
  num_layers: 2,
  num_transformer_submodules: 1,
  num_virtual_tokens: 4,
  peft_type: 'PREFIX_TUNING',
  peft_version: '0.21.2',
  prefix_projection: true,
  revision: null,
  task_type: 'SEQ_CLS',
  token_dim: 8,
};
const SHAPES = {
  prompt_embeddings: [4, 32],
  'base_model.classifier.weight': [3, 8],
  'base_model.classifier.bias': [3],
};

function describeFile(shapes: Readonly<Record<string, number[]>> = {}, config: object = {}) {
  return describeFiles({ ...FROM_PEFT, ...config }, zeros({ ...SHAPES, ...shapes }));
}

describe("a prefix of PEFT's", () => {
  it('holds what its projection gave', () => {
    const description = describeFile();
    expect(description).toMatchObject({ method: 'prefix_tuning', family: 'bert', classifier: { labels: 3 } });
    checkAgainstBase(description, BASE, WHAT);
  });

  it.each<[string, Record<string, number[]>, object, string]>([
    ['a tensor of another method', { 'base_model.model.x.lora_A.weight': [2, 8] }, {}, 'is neither a prefix'],
    ['another number of virtual tokens', {}, { num_virtual_tokens: 5 }, 'says 5 virtual tokens'],
    ['no virtual tokens', {}, { num_virtual_tokens: 0 }, 'num_virtual_tokens'],
    ['two transformers', {}, { num_transformer_submodules: 2 }, 'only encoders are served'],
  ])('is refused with %s', (_name, shapes, config, message) => {
    expect(() => describeFile(shapes, config)).toThrow(message);
  });

  it('is refused on a base model of other layers', () => {
    expect(() => checkAgainstBase(describeFile(), { ...BASE, num_layers: 3 }, WHAT)).toThrow(
      'prompt_embeddings is [4,32], the base model needs [4,48]',
    );
  });
});

describe('a request for prefix tuning', () => {
  it.each([{ num_virtual_tokens: 0 }, { num_virtual_tokens: 505 }, { encoder_hidden_size: 0 }, { r: 8 }])(
    'is refused with %j',
    (fields) => {
      expect(peftRequest.safeParse({ type: 'prefix_tuning', ...fields }).success).toBe(false);
    },
  );
});

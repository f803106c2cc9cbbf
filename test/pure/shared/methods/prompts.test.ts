import { describe, expect, it } from 'vitest';
import { checkFits } from '../../../../shared/adapter-check.ts';
import { adapterConfigJson, parseAdapterConfig } from '../../../../shared/adapter-config.ts';
import { AppError } from '../../../../shared/errors.ts';
import { formatOf } from '../../../../shared/methods/index.ts';
import { requireTextRoom } from '../../../../shared/methods/text-room.ts';
import { type PeftConfig, peftRequest } from '../../../../shared/peft-config.ts';
import { describeFiles, type FileTensors, WHAT } from '../../../support/describe-files.ts';
import { bertOf } from '../../../support/encoders.ts';

/** What PEFT 0.21.2 wrote for four virtual tokens on a BERT of two layers of width 8. */
const FROM_PEFT = {
  auto_mapping: null,
  base_model_name_or_path: 'tiny-bert',
  inference_mode: true,
  modules_to_save: ['classifier', 'score', 'classifier', 'score'],
  num_attention_heads: 2,
  num_layers: 2,
  num_transformer_submodules: 1,
  num_virtual_tokens: 4,
  peft_version: '0.21.2',
  revision: null,
  task_type: 'SEQ_CLS',
  token_dim: 8,
};
const PROMPT_TUNING = {
  ...FROM_PEFT,
  peft_type: 'PROMPT_TUNING',
  prompt_tuning_init: 'RANDOM',
  prompt_tuning_init_text: null,
  tokenizer_kwargs: null,
  tokenizer_name_or_path: null,
};
const P_TUNING = {
  ...FROM_PEFT,
  peft_type: 'P_TUNING',
  encoder_dropout: 0.1,
  encoder_hidden_size: 16,
  encoder_num_layers: 2,
  encoder_reparameterization_type: 'LSTM',
};

const TENSORS: FileTensors = {
  prompt_embeddings: [[4, 8], 0.5],
  'base_model.classifier.weight': [[3, 8], 0.1],
  'base_model.classifier.bias': [[3], 0],
};

function describeFile(config: object, changes: FileTensors = {}) {
  return describeFiles(config, { ...TENSORS, ...changes });
}

const base = (max_length: number, hidden_size = 8) => ({
  id: 'tiny-bert',
  sha256: 'a'.repeat(64),
  family: 'bert' as const,
  hidden_size,
  num_layers: 2,
  max_length,
});
const weft = (max_length: number) => ({
  format: 1 as const,
  labels: ['a', 'b', 'c'],
  pooling: 'cls' as const,
  max_length,
  base_model: 'tiny-bert',
  base_model_sha256: 'a'.repeat(64),
  base_precision: 'fp32' as const,
  metrics: null,
});

describe("PEFT's files of a prompt", () => {
  it.each([
    ['prompt_tuning', PROMPT_TUNING, { num_virtual_tokens: 4, init: 'random' }],
    [
      'prompt_tuning',
      {
        ...PROMPT_TUNING,
        prompt_tuning_init: 'TEXT',
        prompt_tuning_init_text: 'Is it spam?',
        tokenizer_name_or_path: 'tiny-bert',
      },
      { num_virtual_tokens: 4, init: { text: 'Is it spam?' } },
    ],
    [
      'p_tuning',
      P_TUNING,
      {
        num_virtual_tokens: 4,
        encoder: 'lstm',
        encoder_hidden_size: 16,
        encoder_num_layers: 2,
        encoder_dropout: 0.1,
      },
    ],
  ] as const)('of %s are read, and written again as they were', (type, file, fields) => {
    const description = describeFile(file);
    checkFits(description, weft(12), base(64), WHAT);
    const config = parseAdapterConfig(JSON.stringify(file), WHAT);
    const shown = formatOf(type).methodOf(config, description.targets as never, {} as never);
    expect(shown).toEqual({ type, ...fields });
    const method = { ...shown, pooling: 'cls', base_precision: 'fp32' } as PeftConfig;
    const encoder = bertOf(8);
    const input = { method, encoder, modules: [], baseModel: 'tiny-bert', revision: null };
    const { peft_version, ...rest } = file;
    expect(JSON.parse(adapterConfigJson(input))).toEqual({
      ...rest,
      modules_to_save: ['classifier', 'score'],
    });
  });

  it.each([
    [{ prompt_embeddings: null }, {}, 'tensor prompt_embeddings is missing'],
    [{ prompt_embeddings: [[5, 8], 1] }, {}, 'adapter_config.json says 4 virtual tokens'],
    [{ prompt_embeddings: [[4, 8, 1], 1] }, {}, 'prompt_embeddings is [4,8,1], 2 dimensions'],
    [{ prompt_embeddings: [[4, 8], 1e9] }, {}, 'prompt_embeddings has a norm of 5.66e+9'],
    [{ prompt_embeddings: [[4, 8], Number.NaN] }, {}, 'prompt_embeddings'],
    [{ 'base_model.model.x.lora_A.weight': [[1, 8], 1] }, {}, 'is neither a prompt of a BERT encoder'],
    [{ 'base_model.classifier.weight': null }, {}, 'it has no classifier'],
    [{}, { num_virtual_tokens: 0 }, 'num_virtual_tokens'],
    [{}, { num_virtual_tokens: 505 }, 'num_virtual_tokens'],
    [{}, { num_transformer_submodules: 2 }, 'only encoders are served'],
    [{}, { soft_prompt_of_tomorrow: 1 }, '"soft_prompt_of_tomorrow" is not supported'],
  ] as const)('with %j and %j are refused', (tensors, keys, message) => {
    for (const file of [PROMPT_TUNING, P_TUNING]) {
      expect(() => describeFile({ ...file, ...keys }, tensors as never)).toThrow(message);
    }
  });

  it('are refused where they fit the base model not, or leave no room for a text', () => {
    const description = describeFile(PROMPT_TUNING);
    expect(() => checkFits(description, weft(12), base(64, 16), WHAT)).toThrow(
      'prompt_embeddings is [4,8], the base model needs [4,16]',
    );
    expect(() => checkFits(description, weft(11), base(64), WHAT)).toThrow(
      'max_length is 11, of which 4 are virtual tokens: at least 12 leave room for a text',
    );
    expect(() => checkFits(description, weft(11), base(11), WHAT)).toThrow(
      'its 4 virtual tokens need 12 with a text, base model tiny-bert takes at most 11 tokens',
    );
  });
});

/** The field at fault, and what is said of it. */
function refusalOf(run: () => void): [string | null | undefined, string] | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof AppError) return [error.param, error.message];
    throw error;
  }
  return undefined;
}

describe('a request for a prompt', () => {
  it.each([
    [{ type: 'prompt_tuning', num_virtual_tokens: 0 }, 'num_virtual_tokens'],
    [{ type: 'prompt_tuning', num_virtual_tokens: 505 }, 'num_virtual_tokens'],
    [{ type: 'prompt_tuning', init: { text: '' } }, 'init'],
    [{ type: 'prompt_tuning', r: 8 }, ''],
    [{ type: 'p_tuning', encoder: 'gru' }, 'encoder'],
    [{ type: 'p_tuning', encoder_hidden_size: 0 }, 'encoder_hidden_size'],
    [{ type: 'p_tuning', encoder_num_layers: 2 }, 'encoder_num_layers'],
    [{ type: 'p_tuning', encoder: 'mlp', encoder_dropout: 0.1 }, 'encoder_dropout'],
    [{ type: 'p_tuning', encoder: 'lstm', num_virtual_tokens: 129 }, 'num_virtual_tokens'],
  ])('%j is refused at its field', (request, field) => {
    const parsed = peftRequest.safeParse(request);
    expect(parsed.error?.issues[0]?.path[0] ?? '').toBe(field);
    expect(parsed.success).toBe(false);
  });

  it.each([
    [{ num_virtual_tokens: 57 }, 'auto', 64, 'method.num_virtual_tokens'],
    [{}, 'auto', 27, 'method.num_virtual_tokens'],
    [{ num_virtual_tokens: 25 }, 32, 64, 'hyperparameters.max_length'],
    [{}, 27, 512, 'hyperparameters.max_length'],
    [{ num_virtual_tokens: 56 }, 'auto', 64, undefined],
    [{ num_virtual_tokens: 24 }, 32, 64, undefined],
  ] as const)(
    '%j leaves room for a text or is refused, of %s tokens of %d',
    (fields, length, longest, param) => {
      const method = peftRequest.parse({ type: 'prompt_tuning', ...fields });
      expect(refusalOf(() => requireTextRoom(method, length, 'tiny-bert', longest))?.[0]).toBe(param);
    },
  );
});

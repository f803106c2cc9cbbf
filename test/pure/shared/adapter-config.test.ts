import { describe, expect, it } from 'vitest';
import { type AdapterConfig, adapterConfigJson, parseAdapterConfig } from '../../../shared/adapter-config.ts';
import { loraScaling } from '../../../shared/methods/lora.ts';
import type { LoraConfig } from '../../../shared/peft-config.ts';
import { bertOf } from '../../support/encoders.ts';

/** What PEFT 0.21.2 wrote for `LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules=["query", "value"])`. */
const FROM_PEFT = {
  alora_invocation_tokens: null,
  alpha_pattern: {},
  arrow_config: null,
  auto_mapping: null,
  base_model_name_or_path: 'sentence-transformers/all-MiniLM-L6-v2',
  bias: 'none',
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  exclude_modules: null,
  fan_in_fan_out: false,
  inference_mode: true,
  init_lora_weights: true,
  kasa_config: null,
  layer_replication: null,
  layers_pattern: null,
  layers_to_transform: null,
  loftq_config: {},
  lora_alpha: 8,
  lora_bias: false,
  lora_dropout: 0.0,
  lora_ga_config: null,
  megatron_config: null,
  megatron_core: 'megatron.core',
  modules_to_save: ['classifier', 'score'],
  monteclora_config: null,
  peft_type: 'LORA',
  peft_version: '0.21.2',
  qalora_group_size: 16,
  r: 4,
  rank_pattern: {},
  revision: null,
  target_modules: ['value', 'query'],
  target_parameters: null,
  task_type: 'SEQ_CLS',
  trainable_token_indices: null,
  use_bdlora: null,
  use_dora: false,
  use_qalora: false,
  use_rslora: false,
  velora_config: null,
};
const parse = (changes: Record<string, unknown>) =>
  parseAdapterConfig(JSON.stringify({ ...FROM_PEFT, ...changes }), 'adapter spam@3');

/** Rank and scaling of a module by a LoRA file. */
const scalingOf = (config: AdapterConfig, module: string) => {
  if (config.method !== 'lora') throw new Error(`it is of ${config.method}`);
  return loraScaling(config, module);
};

describe("PEFT's adapter_config.json", () => {
  it('is accepted as PEFT writes it', () => {
    expect(parse({})).toEqual({
      method: 'lora',
      r: 4,
      alpha: 8,
      dropout: 0,
      rslora: false,
      dora: false,
      rankPattern: {},
      alphaPattern: {},
      baseModel: 'sentence-transformers/all-MiniLM-L6-v2',
    });
  });

  it("falls back on PEFT's defaults where it is short", () => {
    const config = parseAdapterConfig('{"peft_type":"LORA","task_type":"SEQ_CLS"}', 'adapter spam@3');
    expect(scalingOf(config, 'bert.encoder.layer.0.attention.self.query')).toEqual({ r: 8, scaling: 1 });
  });

  it('scales by alpha / r, with rslora by alpha / sqrt(r)', () => {
    expect(scalingOf(parse({ r: 16, lora_alpha: 8 }), 'x').scaling).toBe(0.5);
    expect(scalingOf(parse({ r: 16, lora_alpha: 8, use_rslora: true }), 'x').scaling).toBe(2);
  });

  it('takes rank and alpha of a module from the first pattern that matches it', () => {
    const config = parse({
      rank_pattern: { 'layer.0.attention.self.query': 2, query: 16 },
      alpha_pattern: { '^bert.encoder.layer.\\d.attention.self.value': 1, 'query|key': 32 },
    });
    const of = (module: string) => scalingOf(config, `bert.encoder.layer.${module}`);
    expect(of('0.attention.self.query')).toEqual({ r: 2, scaling: 16 });
    expect(of('1.attention.self.query')).toEqual({ r: 16, scaling: 2 });
    expect(of('1.attention.self.value')).toEqual({ r: 4, scaling: 0.25 });
    expect(of('1.output.dense')).toEqual({ r: 4, scaling: 2 });
  });

  const refused: [Record<string, unknown>, string][] = [
    [{ peft_type: 'XLORA' }, 'peft_type: only "LORA", "IA3", '],
    [{ task_type: 'CAUSAL_LM' }, 'task_type: only "SEQ_CLS" is served'],
    [{ bias: 'some' }, 'bias: only "none" is served'],
    [{ bias: 'all', use_dora: true }, '"use_dora" is not supported'],
    [{ use_dora: 1 }, 'use_dora: '],
    [{ lora_bias: true }, '"lora_bias" is not supported'],
    [{ fan_in_fan_out: true }, '"fan_in_fan_out" is not supported'],
    [{ layer_replication: [[0, 4]] }, '"layer_replication" is not supported'],
    [{ target_parameters: ['x'] }, '"target_parameters" is not supported'],
    [{ constructor: true }, '"constructor" is not supported'],
    [{ a_key_of_next_year: 'on' }, '"a_key_of_next_year" is not supported'],
    [{ init_lora_weights: 'pissa' }, 'init_lora_weights: this initialization changes the base model'],
    [{ modules_to_save: ['pooler'] }, 'modules_to_save.0: only the classifier'],
    [{ r: 0 }, 'r: '],
    [{ r: 10_000 }, 'r: '],
    [{ r: 2.5 }, 'r: '],
    [{ lora_alpha: -1 }, 'lora_alpha: '],
    [{ rank_pattern: { query: 0 } }, 'rank_pattern.query: '],
    [{ rank_pattern: { '(a+)+': 4 } }, 'rank_pattern "(a+)+" must be a plain module name'],
    [{ alpha_pattern: { '[z-a]': 4 } }, 'alpha_pattern "[z-a]" must be a plain module name'],
    [{ alpha_pattern: { '': 4 } }, 'alpha_pattern "" must be a plain module name'],
  ];
  it.each(refused)('with %j is refused', (changes, message) => {
    expect(() => parse(changes)).toThrow(`adapter spam@3: adapter_config.json: ${message}`);
  });

  it.each(['', '{', 'NaN', '{"r":NaN}'])('%j is not JSON', (text) => {
    expect(() => parseAdapterConfig(text, 'adapter spam@3')).toThrow('adapter_config.json is not JSON');
  });

  it.each(['[]', 'null', '3'])('%s is refused', (text) => {
    expect(() => parseAdapterConfig(text, 'adapter spam@3')).toThrow(
      expect.objectContaining({ code: 'invalid_adapter' }),
    );
  });
});

describe("Weft's adapter_config.json", () => {
  const method: LoraConfig = {
    type: 'lora',
    r: 4,
    alpha: 8,
    dropout: 0.1,
    use_rslora: false,
    use_dora: false,
    target_modules: ['value', 'query'],
    pooling: 'mean',
    base_precision: 'fp32',
  };
  const write = (changes: Partial<LoraConfig>) =>
    adapterConfigJson({
      method: { ...method, ...changes },
      encoder: bertOf(384),
      modules: ['bert.encoder.layer.0.output.dense', 'bert.encoder.layer.0.attention.self.query'],
      baseModel: 'sentence-transformers/all-MiniLM-L6-v2',
      revision: 'main',
    });

  it("holds keys of PEFT's own, sorted, with its values", () => {
    const written = JSON.parse(write({})) as Record<string, unknown>;
    expect(Object.keys(written)).toEqual(Object.keys(written).sort());
    const expected = {
      ...FROM_PEFT,
      lora_dropout: 0.1,
      revision: 'main',
      target_modules: ['query', 'value'],
    };
    expect(expected).toMatchObject(written);
  });

  it('writes all-linear out as full names', () => {
    expect(JSON.parse(write({ target_modules: 'all-linear' }))).toMatchObject({
      target_modules: ['bert.encoder.layer.0.attention.self.query', 'bert.encoder.layer.0.output.dense'],
    });
  });

  it('reads back', () => {
    expect(parseAdapterConfig(write({ use_rslora: true, use_dora: true }), 'x')).toMatchObject({
      r: 4,
      alpha: 8,
      rslora: true,
      dora: true,
    });
  });
});

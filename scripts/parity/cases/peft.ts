import { type PeftRequest, peftRequest } from '../../../shared/peft-config.ts';
import type { Cases, TheirCase } from './case.ts';

const OURS: Readonly<Record<string, PeftRequest>> = {
  'mean-query-value': peftRequest.parse({ type: 'lora', pooling: 'mean', r: 8 }),
  'cls-all-linear': peftRequest.parse({
    type: 'lora',
    pooling: 'cls',
    r: 4,
    alpha: 4,
    target_modules: 'all-linear',
    use_rslora: true,
  }),
  'mean-all-linear': peftRequest.parse({ type: 'lora', pooling: 'mean', r: 2, target_modules: 'all-linear' }),
  'mean-query-value-dora': peftRequest.parse({ type: 'lora', pooling: 'mean', r: 4, use_dora: true }),
  'cls-all-linear-dora': peftRequest.parse({
    type: 'lora',
    pooling: 'cls',
    r: 2,
    target_modules: 'all-linear',
    use_rslora: true,
    use_dora: true,
  }),
  'mean-ia3': peftRequest.parse({ type: 'ia3', pooling: 'mean' }),
  'cls-ia3': peftRequest.parse({ type: 'ia3', pooling: 'cls', target_modules: 'all-linear' }),
  'mean-road': peftRequest.parse({ type: 'road', pooling: 'mean' }),
  'cls-road-4': peftRequest.parse({ type: 'road', pooling: 'cls', variant: 'road_4', group_size: 8 }),
  'cls-prompt-tuning': peftRequest.parse({
    type: 'prompt_tuning',
    pooling: 'cls',
    num_virtual_tokens: 6,
    init: { text: 'Is this message spam?' },
  }),
  'mean-p-tuning-lstm': peftRequest.parse({
    type: 'p_tuning',
    pooling: 'mean',
    num_virtual_tokens: 5,
    encoder: 'lstm',
    encoder_hidden_size: 8,
    encoder_dropout: 0.1,
  }),
  'mean-bitfit': peftRequest.parse({ type: 'bitfit', pooling: 'mean' }),
  'cls-bitfit-subset': peftRequest.parse({
    type: 'bitfit',
    pooling: 'cls',
    biases: 'query_and_intermediate',
  }),
};

const THEIRS: TheirCase[] = [
  {
    name: 'mean-query-value',
    pooling: 'mean',
    dtype: 'float32',
    method: 'LORA',
    config: { r: 8, lora_alpha: 16, lora_dropout: 0.1, target_modules: ['query', 'value'] },
  },
  {
    name: 'mean-half',
    pooling: 'mean',
    dtype: 'float16',
    method: 'LORA',
    config: { r: 2, lora_alpha: 4, target_modules: 'all-linear', exclude_modules: ['dense'] },
  },
  {
    name: 'cls-patterns',
    pooling: 'cls',
    dtype: 'bfloat16',
    method: 'LORA',
    config: {
      r: 4,
      lora_alpha: 8,
      target_modules: ['query', 'key', 'output.dense'],
      rank_pattern: { 'attention.output.dense': 2 },
      alpha_pattern: { 'layer.1.attention.self.query': 2 },
    },
  },
  {
    name: 'mean-all-linear-dora',
    pooling: 'mean',
    dtype: 'float32',
    method: 'LORA',
    config: { r: 4, lora_alpha: 8, lora_dropout: 0.1, target_modules: 'all-linear', use_dora: true },
  },
  {
    name: 'cls-patterns-dora',
    pooling: 'cls',
    dtype: 'float16',
    method: 'LORA',
    config: {
      r: 4,
      lora_alpha: 8,
      target_modules: ['query', 'output.dense', 'pooler.dense'],
      rank_pattern: { 'attention.output.dense': 2 },
      use_rslora: true,
      use_dora: true,
    },
  },
  {
    name: 'cls-ia3',
    pooling: 'cls',
    dtype: 'float32',
    method: 'IA3',
    config: {
      target_modules: ['key', 'value', 'output.dense'],
      feedforward_modules: ['output.dense'],
    },
  },
  {
    name: 'cls-road-4',
    pooling: 'cls',
    dtype: 'bfloat16',
    method: 'ROAD',
    config: { variant: 'road_4', group_size: 8, target_modules: ['key', 'output.dense'] },
  },
  {
    name: 'mean-road-1',
    pooling: 'mean',
    dtype: 'float32',
    method: 'ROAD',
    config: { group_size: 16, target_modules: ['query', 'value'] },
  },
  {
    name: 'cls-bitfit',
    pooling: 'cls',
    dtype: 'float16',
    method: 'LORA',
    config: { r: 2, bias: 'all', target_modules: ['query', 'output.dense'] },
    frozen: 'lora_',
  },
];

/** PEFT does not find DistilBERT's sizes, which it is told then. */
function promptCases(sizes: Record<string, number> = {}): TheirCase[] {
  return [
    {
      name: 'mean-prompt-tuning',
      pooling: 'mean',
      dtype: 'float16',
      method: 'PROMPT_TUNING',
      config: { num_virtual_tokens: 9, ...sizes },
    },
    {
      name: 'cls-p-tuning',
      pooling: 'cls',
      dtype: 'float32',
      method: 'P_TUNING',
      config: {
        num_virtual_tokens: 4,
        encoder_reparameterization_type: 'LSTM',
        encoder_hidden_size: 12,
        encoder_dropout: 0.1,
        ...sizes,
      },
    },
  ];
}

/** PEFT's own `all-linear` fails here: it also wraps `pre_classifier`, which it has to save as a whole. */
const THEIRS_FOR_DISTILBERT: TheirCase[] = [
  {
    name: 'mean-half',
    pooling: 'mean',
    dtype: 'float16',
    method: 'LORA',
    config: { r: 4, lora_alpha: 8, lora_dropout: 0.1, target_modules: ['q_lin', 'v_lin'] },
  },
  {
    name: 'cls-patterns',
    pooling: 'cls',
    dtype: 'bfloat16',
    method: 'LORA',
    config: {
      r: 4,
      lora_alpha: 8,
      target_modules: 'all-linear',
      exclude_modules: ['pre_classifier'],
      rank_pattern: { 'ffn.lin1': 2 },
      alpha_pattern: { 'layer.1.attention.q_lin': 2 },
    },
  },
  {
    name: 'mean-ia3',
    pooling: 'mean',
    dtype: 'bfloat16',
    method: 'IA3',
    config: { target_modules: ['k_lin', 'v_lin', 'lin2'], feedforward_modules: ['lin2'] },
  },
  {
    name: 'mean-road-2',
    pooling: 'mean',
    dtype: 'float32',
    method: 'ROAD',
    config: { variant: 'road_2', group_size: 16, target_modules: ['q_lin', 'lin1'] },
  },
  {
    name: 'mean-bitfit',
    pooling: 'mean',
    dtype: 'float32',
    method: 'LORA',
    config: { r: 1, bias: 'all', target_modules: ['v_lin'] },
    frozen: 'lora_',
  },
];

/** Keys and values before the text's own, for which PEFT has no place in DistilBERT. */
const PREFIXES: Cases = {
  ours: {
    'mean-prefix': peftRequest.parse({ type: 'prefix_tuning', pooling: 'mean', num_virtual_tokens: 7 }),
    'cls-prefix-projection': peftRequest.parse({
      type: 'prefix_tuning',
      pooling: 'cls',
      num_virtual_tokens: 3,
      prefix_projection: true,
      encoder_hidden_size: 12,
      dropout: 0.1,
    }),
  },
  theirs: [
    {
      name: 'cls-prefix',
      pooling: 'cls',
      dtype: 'bfloat16',
      method: 'PREFIX_TUNING',
      config: { num_virtual_tokens: 11 },
    },
    {
      name: 'mean-prefix-projection',
      pooling: 'mean',
      dtype: 'float32',
      method: 'PREFIX_TUNING',
      config: { num_virtual_tokens: 4, prefix_projection: true, encoder_hidden_size: 8 },
    },
  ],
};

export const LIKE_BERT: Cases = {
  ours: { ...OURS, ...PREFIXES.ours },
  theirs: [...THEIRS, ...promptCases(), ...PREFIXES.theirs],
};
export const LIKE_DISTILBERT: Cases = {
  ours: OURS,
  theirs: [...THEIRS_FOR_DISTILBERT, ...promptCases({ token_dim: 16, num_attention_heads: 2 })],
};

import { withPlaceholders } from '../../gpu-node/data/placeholders.ts';
import { placeholdersOf } from '../../gpu-node/methods/index.ts';
import type { HubLoraKind } from '../../shared/methods/hub-lora.ts';
import { virtualTokensOf } from '../../shared/methods/text-room.ts';
import { type LoraConfig, type PeftConfig, POOLINGS, type Pooling } from '../../shared/peft-config.ts';

export const LORA_CONFIGS: readonly LoraConfig[] = (['mean', 'cls', 'mean', 'cls'] satisfies Pooling[]).map(
  (pooling, i) => ({
    type: 'lora',
    r: [2, 4, 8, 1][i]!,
    alpha: 8,
    dropout: 0,
    use_rslora: i % 2 === 1,
    use_dora: false,
    target_modules: [['query', 'value'], ['key', 'output.dense'], 'all-linear' as const, ['pooler.dense']][
      i
    ]!,
    pooling,
    base_precision: 'fp32',
  }),
);

/** Every method whose adapters can share a batch, each in several configurations. */
export const METHOD_CONFIGS: Readonly<Record<string, readonly PeftConfig[]>> = {
  LoRA: LORA_CONFIGS,
  DoRA: LORA_CONFIGS.map((config, i) => ({ ...config, use_dora: i !== 1 })),
  'LoRA of several ranks': LORA_CONFIGS.map((config, i) => ({
    ...config,
    use_dora: i === 2,
    rank_pattern: [
      { value: 5 },
      { 'layer.1.output.dense': 3 },
      { 'attention.output.dense': 2, query: 1 },
      {},
    ][i]!,
    alpha_pattern: [
      { 'layer.0.attention.self.query': 2 },
      {},
      { 'layer.0.output.dense': 3 },
      { 'pooler.dense': 1 },
    ][i]!,
  })),
  '(IA)³': [
    { target_modules: ['key', 'value', 'output.dense'], feedforward_modules: ['output.dense'] },
    { target_modules: 'all-linear' as const, feedforward_modules: [] },
    { target_modules: ['query', 'intermediate.dense'], feedforward_modules: ['query'] },
    { target_modules: ['query', 'pooler.dense'], feedforward_modules: ['pooler.dense'] },
  ].map((fields, i) => ({
    type: 'ia3' as const,
    ...fields,
    pooling: POOLINGS[i % 2]!,
    base_precision: 'fp32' as const,
  })),
  'prefix tuning': [
    { num_virtual_tokens: 3 },
    { num_virtual_tokens: 9, prefix_projection: true, encoder_hidden_size: 12 },
    { num_virtual_tokens: 20, dropout: 0.2 },
    { num_virtual_tokens: 1, prefix_projection: true, encoder_hidden_size: 4, dropout: 0.1 },
  ].map((fields, i) => ({
    type: 'prefix_tuning' as const,
    prefix_projection: false,
    encoder_hidden_size: 32,
    dropout: 0,
    ...fields,
    pooling: POOLINGS[i % 2]!,
    base_precision: 'fp32' as const,
  })),
  RoAd: [
    { variant: 'road_1' as const, group_size: 32, target_modules: 'all-linear' as const },
    { variant: 'road_2' as const, group_size: 8, target_modules: ['query', 'output.dense'] },
    { variant: 'road_4' as const, group_size: 16, target_modules: ['key', 'intermediate.dense'] },
    { variant: 'road_2' as const, group_size: 2, target_modules: ['query', 'pooler.dense'] },
  ].map((fields, i) => ({
    type: 'road' as const,
    ...fields,
    pooling: POOLINGS[i % 2]!,
    base_precision: 'fp32' as const,
  })),
  BitFit: (['all', 'query_and_intermediate'] as const).flatMap((biases) =>
    POOLINGS.map((pooling) => ({
      type: 'bitfit' as const,
      biases,
      pooling,
      base_precision: 'fp32' as const,
    })),
  ),
  bottleneck: (
    [
      ['pfeiffer', 'relu', 3, 1],
      ['pfeiffer', 'gelu', 16, 0.5],
      ['houlsby', 'swish', 8, 1],
      ['houlsby', 'tanh', 1, 2],
      ['parallel', 'relu', 16, 4],
      ['parallel', 'swish', 5, 1],
    ] as const
  ).map(([placement, activation, width, scaling], i) => ({
    type: 'bottleneck' as const,
    placement,
    activation,
    width,
    scaling,
    pooling: POOLINGS[i % 2]!,
    base_precision: 'fp32' as const,
  })),
  'Mix-And-Match': [
    { num_virtual_tokens: 4, prefix_projection: false, width: 5, activation: 'relu' as const },
    { num_virtual_tokens: 9, encoder_hidden_size: 6, width: 16, activation: 'tanh' as const, scaling: 0.5 },
    { num_virtual_tokens: 1, encoder_hidden_size: 3, dropout: 0.2, width: 1, activation: 'gelu' as const },
  ].map((fields, i) => ({
    type: 'mam' as const,
    prefix_projection: true,
    encoder_hidden_size: 8,
    dropout: 0,
    scaling: 4,
    ...fields,
    pooling: POOLINGS[i % 2]!,
    base_precision: 'fp32' as const,
  })),
  UniPELT: [
    { num_virtual_tokens: 4, prefix_projection: false, width: 5, r: 2, target_modules: ['query', 'value'] },
    {
      num_virtual_tokens: 9,
      encoder_hidden_size: 6,
      width: 16,
      activation: 'tanh' as const,
      scaling: 0.5,
      r: 8,
      target_modules: ['key', 'intermediate', 'output'],
    },
    {
      num_virtual_tokens: 1,
      encoder_hidden_size: 3,
      dropout: 0.2,
      width: 1,
      r: 1,
      target_modules: ['output'],
    },
  ].map((fields, i) => ({
    type: 'unipelt' as const,
    prefix_projection: true,
    encoder_hidden_size: 8,
    dropout: 0,
    activation: 'relu' as const,
    scaling: 1,
    ...fields,
    target_modules: fields.target_modules as HubLoraKind[],
    pooling: POOLINGS[i % 2]!,
    base_precision: 'fp32' as const,
  })),
  'prompt tuning': [
    { num_virtual_tokens: 3, init: 'random' as const },
    { num_virtual_tokens: 11, init: 'vocabulary' as const },
    { num_virtual_tokens: 5, init: { text: 'the quick brown fox' } },
    { num_virtual_tokens: 1, init: 'random' as const },
  ].map((fields, i) => ({
    type: 'prompt_tuning' as const,
    ...fields,
    pooling: POOLINGS[i % 2]!,
    base_precision: 'fp32' as const,
  })),
  'P-tuning': [
    { num_virtual_tokens: 4, encoder: 'mlp' as const, encoder_hidden_size: 16, encoder_num_layers: 2 },
    { num_virtual_tokens: 9, encoder: 'lstm' as const, encoder_hidden_size: 8, encoder_num_layers: 2 },
    { num_virtual_tokens: 1, encoder: 'lstm' as const, encoder_hidden_size: 3, encoder_num_layers: 1 },
  ].map((fields, i) => ({
    type: 'p_tuning' as const,
    ...fields,
    encoder_dropout: 0,
    pooling: POOLINGS[i % 2]!,
    base_precision: 'fp32' as const,
  })),
};

/** The ids of a text as a node and training make them for an adapter of a method. */
export function idsFor(config: PeftConfig, { ids }: { ids: Int32Array }): { ids: Int32Array } {
  return { ids: withPlaceholders(placeholdersOf(config, virtualTokensOf(config)), ids) };
}

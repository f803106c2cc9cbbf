import { peftRequest } from '../../../shared/peft-config.ts';
import type { Cases } from './case.ts';

/** Bottlenecks of each placement. */
const BOTTLENECKS: Cases = {
  ours: {
    'cls-pfeiffer': peftRequest.parse({ type: 'bottleneck', pooling: 'cls', width: 5 }),
    'mean-houlsby': peftRequest.parse({
      type: 'bottleneck',
      pooling: 'mean',
      placement: 'houlsby',
      width: 4,
      activation: 'gelu',
    }),
    'mean-parallel': peftRequest.parse({
      type: 'bottleneck',
      pooling: 'mean',
      placement: 'parallel',
      scaling: 0.5,
    }),
  },
  theirs: [
    {
      name: 'mean-pfeiffer',
      pooling: 'mean',
      dtype: 'float16',
      method: 'seq_bn',
      config: { reduction_factor: 4, leave_out: [0] },
    },
    {
      name: 'cls-houlsby',
      pooling: 'cls',
      dtype: 'float32',
      method: 'double_seq_bn',
      config: { reduction_factor: 3 },
    },
    {
      name: 'cls-parallel',
      pooling: 'cls',
      dtype: 'bfloat16',
      method: 'par_bn',
      config: { non_linearity: 'tanh' },
    },
  ],
};

/** Unions, whose members `config` names. */
const UNIONS: Cases = {
  ours: {
    'cls-mam': peftRequest.parse({
      type: 'mam',
      pooling: 'cls',
      num_virtual_tokens: 5,
      width: 6,
      scaling: 8,
    }),
    'mean-mam': peftRequest.parse({
      type: 'mam',
      pooling: 'mean',
      num_virtual_tokens: 3,
      prefix_projection: false,
      dropout: 0.1,
      activation: 'swish',
    }),
    'cls-unipelt': peftRequest.parse({ type: 'unipelt', pooling: 'cls', num_virtual_tokens: 4, width: 5 }),
    'mean-unipelt': peftRequest.parse({
      type: 'unipelt',
      pooling: 'mean',
      prefix_projection: false,
      dropout: 0.1,
      activation: 'gelu',
      r: 3,
      target_modules: ['key', 'intermediate', 'output'],
    }),
  },
  theirs: [
    {
      name: 'mean-mam',
      pooling: 'mean',
      dtype: 'float32',
      method: 'mam',
      config: { prefix_tuning: { prefix_length: 7, bottleneck_size: 12 }, par_bn: { reduction_factor: 3 } },
    },
    {
      name: 'cls-mam-flat',
      pooling: 'cls',
      dtype: 'bfloat16',
      method: 'mam',
      config: { prefix_tuning_flat: { prefix_length: 4 }, par_bn: { scaling: 2.5, leave_out: [1] } },
    },
    {
      name: 'cls-unipelt',
      pooling: 'cls',
      dtype: 'float32',
      method: 'unipelt',
      config: {
        prefix_tuning: { prefix_length: 6, bottleneck_size: 12 },
        seq_bn: { scaling: 2.5 },
        lora: {},
      },
    },
    {
      name: 'mean-unipelt-flat',
      pooling: 'mean',
      dtype: 'float16',
      method: 'unipelt',
      config: {
        prefix_tuning_flat: { prefix_length: 3 },
        seq_bn: { reduction_factor: 4, leave_out: [0] },
        lora: { r: 4, alpha: 64, attn_matrices: ['k'], output_lora: true, leave_out: [1] },
      },
    },
  ],
};

export const ADAPTERHUB: Cases = {
  ours: { ...BOTTLENECKS.ours, ...UNIONS.ours },
  theirs: [...BOTTLENECKS.theirs, ...UNIONS.theirs],
};

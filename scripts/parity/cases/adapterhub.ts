import { peftRequest } from '../../../shared/peft-config.ts';
import type { Cases } from './case.ts';

/** Bottlenecks of each placement. */
export const BOTTLENECKS: Cases = {
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

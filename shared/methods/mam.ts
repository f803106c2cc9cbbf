import { z } from 'zod';
import {
  type BottleneckConfig,
  type BottleneckFileConfig,
  type BottleneckTarget,
  bottleneckFields,
} from './bottleneck.ts';
import { common, orAuto } from './fields.ts';
import type { AdapterFormat } from './format.ts';
import { type HubPrefixConfig, type HubPrefixTarget, hubPrefix } from './hub-prefix.ts';
import { type PrefixTuningConfig, prefixFields } from './prefix-tuning.ts';
import { placed, targetsOf, type UnionFileConfig, type UnionTarget, unionFormat } from './union.ts';

const fields = { ...prefixFields, ...bottleneckFields, ...common };

/** Mix-And-Match (He et al. 2022, arXiv:2110.04366): a prefix in attention, and beside the feed-forward network a parallel bottleneck. */
export const mamConfig = z.strictObject({ type: z.literal('mam'), ...fields });
export type MamConfig = z.infer<typeof mamConfig>;
export const mamRequest = z.strictObject({ type: z.literal('mam'), ...orAuto(fields) });

/** Its members as the methods that they are. */
export function mamMembers({
  num_virtual_tokens,
  prefix_projection,
  encoder_hidden_size,
  dropout,
  width,
  activation,
  scaling,
  pooling,
  base_precision,
}: MamConfig) {
  const about = { pooling, base_precision };
  return {
    prefix_tuning: {
      type: 'prefix_tuning',
      num_virtual_tokens,
      prefix_projection,
      encoder_hidden_size,
      dropout,
      ...about,
    } satisfies PrefixTuningConfig,
    bottleneck: {
      type: 'bottleneck',
      placement: 'parallel',
      width,
      activation,
      scaling,
      ...about,
    } satisfies BottleneckConfig,
  };
}

export type MamTypes = {
  prefix_tuning: { method: PrefixTuningConfig; config: HubPrefixConfig; target: HubPrefixTarget };
  bottleneck: { method: BottleneckConfig; config: BottleneckFileConfig; target: BottleneckTarget };
};
export type MamFileConfig = UnionFileConfig<MamTypes>;
export type MamTarget = UnionTarget<MamTypes>;

/** Mix-And-Match as AdapterHub writes it (adapters 1.2, `MAMConfig`). */
export const mamFormat: AdapterFormat<MamConfig, MamFileConfig, MamTarget> = {
  learningRate: 1e-3,
  ...unionFormat<MamConfig, MamTypes>(
    { prefix_tuning: hubPrefix, bottleneck: placed('parallel', 'par_bn') },
    mamMembers,
  ),
  methodOf: ({ members: { prefix_tuning, bottleneck } }, targets) => ({
    type: 'mam',
    num_virtual_tokens: prefix_tuning.virtualTokens,
    prefix_projection: prefix_tuning.projection,
    encoder_hidden_size: prefix_tuning.encoderHiddenSize,
    dropout: 0,
    width: Math.max(...targetsOf(targets, 'bottleneck').map(({ width }) => width)),
    activation: bottleneck.activation,
    scaling: bottleneck.scaling,
  }),
};

import {
  type BottleneckConfig,
  type BottleneckFileConfig,
  type BottleneckTarget,
  bottleneckFields,
} from './bottleneck.ts';
import { common } from './fields.ts';
import type { HubPrefixConfig } from './hub-prefix.ts';
import { type PrefixTuningConfig, prefixFields } from './prefix-tuning.ts';

/* What the unions of a prefix and a bottleneck have in common. */

export const prefixAndBottleneckFields = { ...prefixFields, ...bottleneckFields, ...common };

type Config = Omit<PrefixTuningConfig, 'type'> & Omit<BottleneckConfig, 'type' | 'placement'>;

/** The two members as the methods that they are. */
export function prefixAndBottleneck(
  {
    num_virtual_tokens,
    prefix_projection,
    encoder_hidden_size,
    dropout,
    width,
    activation,
    scaling,
    pooling,
    base_precision,
  }: Config,
  placement: BottleneckConfig['placement'],
): { prefix_tuning: PrefixTuningConfig; bottleneck: BottleneckConfig } {
  const about = { pooling, base_precision };
  return {
    prefix_tuning: {
      type: 'prefix_tuning',
      num_virtual_tokens,
      prefix_projection,
      encoder_hidden_size,
      dropout,
      ...about,
    },
    bottleneck: { type: 'bottleneck', placement, width, activation, scaling, ...about },
  };
}

/** The fields of a union, from its members' files; dropout is in no file. */
export function fieldsOfPrefixAndBottleneck(
  prefix: HubPrefixConfig,
  { activation, scaling }: BottleneckFileConfig,
  bottlenecks: readonly BottleneckTarget[],
) {
  return {
    num_virtual_tokens: prefix.virtualTokens,
    prefix_projection: prefix.projection,
    encoder_hidden_size: prefix.encoderHiddenSize,
    dropout: 0,
    width: Math.max(...bottlenecks.map(({ width }) => width)),
    activation,
    scaling,
  };
}

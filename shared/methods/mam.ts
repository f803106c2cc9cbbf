import { z } from 'zod';
import type { BottleneckConfig, BottleneckFileConfig, BottleneckTarget } from './bottleneck.ts';
import { orAuto } from './fields.ts';
import type { AdapterFormat } from './format.ts';
import { type HubPrefixConfig, type HubPrefixTarget, hubPrefix } from './hub-prefix.ts';
import {
  fieldsOfPrefixAndBottleneck,
  prefixAndBottleneck,
  prefixAndBottleneckFields,
} from './prefix-and-bottleneck.ts';
import type { PrefixTuningConfig } from './prefix-tuning.ts';
import { placed, targetsOf, type UnionFileConfig, type UnionTarget, unionFormat } from './union.ts';

const fields = prefixAndBottleneckFields;

/** Mix-And-Match (He et al. 2022, arXiv:2110.04366): a prefix in attention, and beside the feed-forward network a parallel bottleneck. */
export const mamConfig = z.strictObject({ type: z.literal('mam'), ...fields });
export type MamConfig = z.infer<typeof mamConfig>;
export const mamRequest = z.strictObject({ type: z.literal('mam'), ...orAuto(fields) });

/** Its members as the methods that they are. */
export function mamMembers(config: MamConfig) {
  return prefixAndBottleneck(config, 'parallel');
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
    ...fieldsOfPrefixAndBottleneck(prefix_tuning, bottleneck, targetsOf(targets, 'bottleneck')),
  }),
};

import { z } from 'zod';
import {
  type BottleneckConfig,
  type BottleneckFileConfig,
  type BottleneckTarget,
  bottleneckTensorNames,
} from './bottleneck.ts';
import { orAuto } from './fields.ts';
import type { AdapterFormat } from './format.ts';
import { type Gated, gated } from './gated.ts';
import {
  type HubLoraConfig,
  type HubLoraFileConfig,
  type HubLoraTarget,
  hubLora,
  hubLoraFields,
  hubLoraNames,
} from './hub-lora.ts';
import { type HubPrefixConfig, type HubPrefixTarget, hubPrefix, hubPrefixGateName } from './hub-prefix.ts';
import { changedLayers, linearSides, requireLayers } from './places.ts';
import {
  fieldsOfPrefixAndBottleneck,
  prefixAndBottleneck,
  prefixAndBottleneckFields,
} from './prefix-and-bottleneck.ts';
import type { PrefixTuningConfig } from './prefix-tuning.ts';
import { placed, targetsOf, type UnionFileConfig, type UnionTarget, unionFormat } from './union.ts';

const fields = { ...prefixAndBottleneckFields, ...hubLoraFields };

/**
 * UniPELT (Mao et al. 2022, arXiv:2110.07577): a prefix in attention, LoRA in linear layers and a bottleneck behind the feed-forward network, each
 * behind a gate that says for every text how much of it there is.
 */
export const unipeltConfig = z.strictObject({ type: z.literal('unipelt'), ...fields });
export type UnipeltConfig = z.infer<typeof unipeltConfig>;
export const unipeltRequest = z.strictObject({ type: z.literal('unipelt'), ...orAuto(fields) });

/** Its members as the methods that they are; LoRA's factors have no scaling beside a gate. */
export function unipeltMembers(config: UnipeltConfig) {
  const { r, target_modules, dropout, pooling, base_precision } = config;
  return {
    ...prefixAndBottleneck(config, 'pfeiffer'),
    lora: { r, target_modules, dropout, pooling, base_precision } satisfies HubLoraConfig,
  };
}

export type UnipeltTypes = {
  prefix_tuning: { method: PrefixTuningConfig; config: HubPrefixConfig; target: Gated<HubPrefixTarget> };
  bottleneck: { method: BottleneckConfig; config: BottleneckFileConfig; target: Gated<BottleneckTarget> };
  lora: { method: HubLoraConfig; config: HubLoraFileConfig; target: Gated<HubLoraTarget> };
};
export type UnipeltFileConfig = UnionFileConfig<UnipeltTypes>;
export type UnipeltTarget = UnionTarget<UnipeltTypes>;

const PREFIX_GATE = /\.prefix_gates\.[^.]+\.weight$/;

const prefixOfOneGate = {
  ...hubPrefix,
  keys: {
    ...hubPrefix.keys,
    shared_gating: z.literal(true, 'only one gate for keys and values is served').default(true),
  },
};

const MEMBERS = {
  prefix_tuning: gated(prefixOfOneGate, {
    names: (_target, family, { header, config }) => {
      const { layers } = changedLayers(header, family, PREFIX_GATE, []);
      const gates = { length: Math.max(1, layers) };
      return Array.from(gates, (_, index) => hubPrefixGateName(family, index, config.name));
    },
    width: ({ gates }, base, what) => {
      requireLayers(gates.length, base, what);
      return base.hidden_size;
    },
  }),
  bottleneck: gated(placed('pfeiffer', 'seq_bn'), {
    names: ({ module }, _family, { config }) => [bottleneckTensorNames(module, config.name).gate],
    width: (_target, base) => base.hidden_size,
  }),
  lora: gated(hubLora, {
    names: ({ module }, _family, { config }) => [hubLoraNames(module, config.name).gate],
    width: (target, base, what) => linearSides(target, base, what)[0],
  }),
};

/** UniPELT as AdapterHub writes it (adapters 1.2, `UniPELTConfig`). */
export const unipeltFormat: AdapterFormat<UnipeltConfig, UnipeltFileConfig, UnipeltTarget> = {
  ...unionFormat<UnipeltConfig, UnipeltTypes>(MEMBERS, unipeltMembers),
  learningRate: 5e-4,
  // Every other union has gates in none of its members, and no LoRA.
  matches: ({ configs }) =>
    Array.isArray(configs) && configs.some((each) => Object(each).architecture === 'lora'),
  methodOf: ({ members: { prefix_tuning, bottleneck, lora } }, targets) => ({
    type: 'unipelt',
    ...fieldsOfPrefixAndBottleneck(prefix_tuning, bottleneck, targetsOf(targets, 'bottleneck')),
    r: lora.r,
    target_modules: [...lora.kinds],
  }),
};

import { HUB_NAME } from '../../shared/adapterhub-config.ts';
import { FAMILIES, type Family } from '../../shared/families.ts';
import { bottleneckTensorNames } from '../../shared/methods/bottleneck.ts';
import type { GateTarget } from '../../shared/methods/gated.ts';
import { type HubLoraKind, hubLoraNames } from '../../shared/methods/hub-lora.ts';
import { hubPrefixGateName } from '../../shared/methods/hub-prefix.ts';
import { targetsOf } from '../../shared/methods/union.ts';
import { type UnipeltTarget, unipeltMembers } from '../../shared/methods/unipelt.ts';
import { attentionName } from '../models/encoder.ts';
import { placeName } from '../parts/bottleneck.ts';
import { gateNumbers } from '../parts/gate.ts';
import { bottleneck, moduleOf, placesOf } from './bottleneck.ts';
import { gated } from './gated.ts';
import { hubLora } from './hub-lora.ts';
import { hubPrefix, hubPrefixParts, hubPrefixPlan, resolveHubPrefix } from './hub-prefix.ts';
import { lora } from './lora.ts';
import { given, type PeftMethod } from './method.ts';
import { memberOf, union } from './union.ts';

/**
 * UniPELT (Mao et al. 2022, arXiv:2110.07577) as AdapterHub defines it (`UniPELTConfig`): a prefix of 10 that is trained through a network of 512,
 * LoRA of rank 8 on query and value, and bottlenecks of a sixteenth of the base model's width behind the feed-forward networks. What each adds is
 * multiplied by its gate, the mean of σ(w·x + b) over a text's tokens, where x is what the layer reads, what the attention reads or what the bottleneck does.
 */
export const unipelt: PeftMethod<'unipelt'> = {
  resolve: ({ type, r, target_modules, ...request }, architecture) => {
    const auto = { num_virtual_tokens: 10, encoder_hidden_size: 512 };
    const prefix = resolveHubPrefix(request, auto, architecture);
    const behind = { ...request, type: 'bottleneck', placement: 'pfeiffer' } as const;
    const { type: _bottleneck, placement: _placement, ...own } = bottleneck.resolve(behind, architecture);
    const modules = given<HubLoraKind[]>(target_modules, ['query', 'value']);
    return { type, ...prefix, ...own, r: given(r, 8), target_modules: modules };
  },
  toShrink: { field: 'width', way: 'lower method.width, method.r or method.num_virtual_tokens' },
  ...union((config) => {
    const { prefix_tuning, bottleneck: behind, lora: factors } = unipeltMembers(config);
    const low = hubLora(factors);
    return [
      gated(hubPrefix(prefix_tuning), ({ family, layers, hiddenSize }) =>
        Array.from({ length: layers }, (_, index) => ({
          place: attentionName(family, index),
          name: hubPrefixGateName(family, index, HUB_NAME),
          inFeatures: hiddenSize,
        })),
      ),
      gated(memberOf(bottleneck, behind), (architecture) =>
        placesOf(behind, architecture).map((place) => ({
          place: placeName(place),
          name: bottleneckTensorNames(moduleOf(place, architecture), HUB_NAME).gate,
          inFeatures: architecture.hiddenSize,
        })),
      ),
      gated(low, (architecture) => {
        const changed = low.modules(architecture);
        const layers = architecture.linears('mean').filter(({ name }) => changed.includes(name));
        return layers.map(({ name, inFeatures }) => ({
          place: name,
          name: hubLoraNames(name, HUB_NAME).gate,
          inFeatures,
        }));
      }),
    ];
  }),
  plan: ({ targets, ...description }, architecture) => {
    const { behind, factors } = membersIn(targets);
    return {
      ...hubPrefixPlan(architecture),
      ...bottleneck.plan({ ...description, method: 'bottleneck', targets: behind }, architecture),
      ...lora.plan({ ...description, method: 'lora', targets: factors }, architecture),
      gate: [...gatesIn(targets, architecture.family).keys()],
    };
  },
  load: async ({ targets, ...description }, bytes, base) => {
    const family = FAMILIES[description.family];
    const { prefix, behind, factors } = membersIn(targets);
    return {
      ...hubPrefixParts(prefix, bytes, family),
      ...(await bottleneck.load({ ...description, method: 'bottleneck', targets: behind }, bytes, base)),
      ...(await lora.load({ ...description, method: 'lora', targets: factors }, bytes, base)),
      gate: gateNumbers(gatesIn(targets, family), bytes),
    };
  },
};

/** What a file changes, by member. */
function membersIn(targets: readonly UnipeltTarget[]) {
  return {
    prefix: targetsOf(targets, 'prefix_tuning')[0]!,
    behind: targetsOf(targets, 'bottleneck'),
    factors: targetsOf(targets, 'lora'),
  };
}

/** The gates of a file by the name of their place. */
function gatesIn(targets: readonly UnipeltTarget[], family: Family): Map<string, GateTarget> {
  const { prefix, behind, factors } = membersIn(targets);
  return new Map([
    ...prefix.gates.map((gate, index) => [attentionName(family, index), gate] as const),
    ...behind.map((target) => [placeName(target), target.gates[0]!] as const),
    ...factors.map(({ module, gates }) => [module, gates[0]!] as const),
  ]);
}

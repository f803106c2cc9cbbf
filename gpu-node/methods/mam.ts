import { FAMILIES } from '../../shared/families.ts';
import { mamMembers } from '../../shared/methods/mam.ts';
import { targetsOf } from '../../shared/methods/union.ts';
import { bottleneck } from './bottleneck.ts';
import { hubPrefix, hubPrefixParts, hubPrefixPlan, resolveHubPrefix } from './hub-prefix.ts';
import type { PeftMethod } from './method.ts';
import { memberOf, union } from './union.ts';

/**
 * Mix-And-Match (He et al. 2022, arXiv:2110.04366) as AdapterHub defines it (`MAMConfig`): a prefix of 30 that is trained through a network of 800,
 * and parallel bottlenecks of half the base model's width, scaled by 4.
 */
export const mam: PeftMethod<'mam'> = {
  resolve: ({ type, ...request }, architecture) => {
    const auto = { num_virtual_tokens: 30, encoder_hidden_size: 800 };
    const prefix = resolveHubPrefix(request, auto, architecture);
    const parallel = { ...request, type: 'bottleneck', placement: 'parallel' } as const;
    const { type: _bottleneck, placement: _placement, ...own } = bottleneck.resolve(parallel, architecture);
    return { type, ...prefix, ...own };
  },
  toShrink: { field: 'width', way: 'lower method.width or method.num_virtual_tokens' },
  ...union((config) => {
    const { prefix_tuning, bottleneck: parallel } = mamMembers(config);
    return [hubPrefix(prefix_tuning), memberOf(bottleneck, parallel)];
  }),
  plan: ({ targets, ...description }, architecture) => ({
    ...hubPrefixPlan(architecture),
    ...bottleneck.plan(
      { ...description, method: 'bottleneck', targets: targetsOf(targets, 'bottleneck') },
      architecture,
    ),
  }),
  load: async ({ targets, ...description }, bytes, base) => ({
    ...hubPrefixParts(targetsOf(targets, 'prefix_tuning')[0]!, bytes, FAMILIES[description.family]),
    ...(await bottleneck.load(
      { ...description, method: 'bottleneck', targets: targetsOf(targets, 'bottleneck') },
      bytes,
      base,
    )),
  }),
};

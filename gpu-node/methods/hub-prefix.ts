import type { z } from 'zod';
import { HUB_NAME } from '../../shared/adapterhub-config.ts';
import type { Family } from '../../shared/families.ts';
import { type HubPrefixTarget, hubPrefixName } from '../../shared/methods/hub-prefix.ts';
import type { prefixTuningRequest } from '../../shared/methods/prefix-tuning.ts';
import type { PrefixTuningConfig } from '../../shared/peft-config.ts';
import type { Architecture } from '../models/model.ts';
import { reshape } from '../ops/index.ts';
import { keysValues, prefixNumbers } from '../parts/keys-values.ts';
import type { TensorBytes } from '../parts/part.ts';
import { given } from './method.ts';
import { prefixOf, prefixSites, prefixTuning } from './prefix-tuning.ts';
import type { Member } from './union.ts';

/** Prefix tuning as AdapterHub has it in a union: it moves no positions. What is trained is what HF PEFT trains; the file holds what that comes to. */
export function hubPrefix(config: PrefixTuningConfig): Member {
  return {
    modules: () => [],
    trainables: (architecture) => prefixTuning.trainables(config, architecture),
    sites: (...rest) => prefixSites(config, ...rest),
    dropout: config.dropout,
    saved: ({ family, layers, hiddenSize }, parameters) => ({
      [hubPrefixName(family, HUB_NAME)]: reshape(prefixOf(config, parameters), [
        config.num_virtual_tokens * 2 * layers * hiddenSize,
      ]),
    }),
  };
}

/** `"auto"` of the fields of a union's prefix, which is trained through a network. */
export function resolveHubPrefix(
  request: Omit<z.infer<typeof prefixTuningRequest>, 'type'>,
  auto: Pick<PrefixTuningConfig, 'num_virtual_tokens' | 'encoder_hidden_size'>,
  architecture: Architecture,
) {
  const { type: _, ...resolved } = prefixTuning.resolve(
    {
      ...request,
      type: 'prefix_tuning',
      num_virtual_tokens: given(request.num_virtual_tokens, auto.num_virtual_tokens),
      prefix_projection: given(request.prefix_projection, true),
      encoder_hidden_size: given(request.encoder_hidden_size, auto.encoder_hidden_size),
    },
    architecture,
  );
  return resolved;
}

export function hubPrefixPlan(architecture: Architecture) {
  return { keysValues: keysValues.places(architecture, 'mean') };
}

/** Its numbers, from a file. */
export function hubPrefixParts(
  { prefix: entry, virtualTokens }: HubPrefixTarget,
  bytes: TensorBytes,
  family: Family,
) {
  return { keysValues: prefixNumbers({ entry, virtualTokens, shift: 0 }, bytes, family) };
}

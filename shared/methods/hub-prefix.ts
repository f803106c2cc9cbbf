import { z } from 'zod';
import type { Family } from '../families.ts';
import type { TensorEntry } from '../safetensors.ts';
import { MAX_VIRTUAL_TOKENS } from './fields.ts';
import { tensor } from './format.ts';
import { MAX_PROJECTION, type PrefixTuningConfig } from './prefix-tuning.ts';
import { fail } from './refusal.ts';
import type { Member } from './union.ts';

/** What AdapterHub's settings say of a prefix. */
export interface HubPrefixConfig {
  readonly virtualTokens: number;
  readonly encoderHiddenSize: number;
  /** Whether it was trained as a network, of which the result is kept. */
  readonly projection: boolean;
}

/** A prefix of all layers. */
export interface HubPrefixTarget {
  readonly virtualTokens: number;
  /** `[virtual tokens * 2 * layers * hidden]`: for each token the keys of the first layer, its values, and so on. */
  readonly prefix: TensorEntry;
}

const keys = z.object({
  prefix_length: z.int().min(1).max(MAX_VIRTUAL_TOKENS),
  flat: z.boolean().default(false),
  bottleneck_size: z.int().min(1).max(MAX_PROJECTION).catch(MAX_PROJECTION),
  leave_out: z.array(z.int()).max(0, 'a prefix in some of the layers is not served').nullish(),
});

/** Name of the tensor of a prefix, of an adapter of this name. */
export function hubPrefixName({ root, prefixes }: Family, name: string): string {
  return `${root}.prefix_tuning.prefix_tunings.${name}.${prefixes.location}.control_trans`;
}

/** Name of the gate of a layer's prefix, of an adapter of this name. */
export function hubPrefixGateName({ layers, prefixes }: Family, index: number, name: string): string {
  return `${layers}${index}.${prefixes.attention}.prefix_tuning.prefix_gates.${name}`;
}

/**
 * A prefix as AdapterHub writes it in a union (adapters 1.2, methods/prefix_tuning.py): it moves no positions. The file holds what a network gave,
 * as `eject_prefix_tuning` leaves it there, though the library's settings still call it a network then.
 */
export const hubPrefix: Member<PrefixTuningConfig, HubPrefixConfig, HubPrefixTarget> = {
  keys: keys.shape,
  withoutEffect: [
    'cross_prefix',
    'dropout',
    'encoder_prefix',
    'init_weights_seed',
    'non_linearity',
    'shared_gating',
  ],
  parse: (file) => {
    const { prefix_length, bottleneck_size, flat } = file as z.infer<typeof keys>;
    return { virtualTokens: prefix_length, encoderHiddenSize: bottleneck_size, projection: !flat };
  },
  targets: ({ config: { name, virtualTokens }, header, what }, family) => {
    const tensorName = hubPrefixName(family, name);
    if (header.tensors.has(`${tensorName}.0.weight`)) {
      const wayOut = 'call model.eject_prefix_tuning with its name before it is saved';
      fail(what, `its prefix is still the network that it was trained as: ${wayOut}`);
    }
    return [{ virtualTokens, prefix: tensor(header, tensorName, 1, what) }];
  },
  tensorsOf: ({ virtualTokens, prefix }) => [
    {
      label: 'control_trans',
      entry: prefix,
      needed: ({ num_layers, hidden_size }) => [virtualTokens * 2 * num_layers * hidden_size],
    },
  ],
  gainsOf: ({ prefix }, normOf) => [['control_trans', normOf(prefix)]],
  write: ({ method }) => ({
    architecture: 'prefix_tuning',
    bottleneck_size: method.encoder_hidden_size,
    cross_prefix: true,
    dropout: method.dropout,
    encoder_prefix: true,
    flat: true,
    init_weights_seed: null,
    leave_out: [],
    non_linearity: 'tanh',
    prefix_length: method.num_virtual_tokens,
    shared_gating: true,
    use_gating: false,
  }),
};

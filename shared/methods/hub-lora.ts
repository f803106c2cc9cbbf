import { z } from 'zod';
import type { LinearKind } from '../families.ts';
import { layersLeftOut } from './bottleneck.ts';
import { type CommonField, MAX_RANK } from './fields.ts';
import { tensor } from './format.ts';
import { type LoraConfig, type LoraTarget, loraFormat } from './lora.ts';
import { changedLayers, requireLayers } from './places.ts';
import { fail, shown } from './refusal.ts';
import type { Member } from './union.ts';

/** The linear layers that AdapterHub's LoRA can change, and where its settings say so. */
const SETTINGS = {
  query: { attention: 'q' },
  key: { attention: 'k' },
  value: { attention: 'v' },
  intermediate: { flag: 'intermediate_lora' },
  output: { flag: 'output_lora' },
} as const satisfies Partial<Record<LinearKind, { attention: string } | { flag: string }>>;
export type HubLoraKind = keyof typeof SETTINGS;
export const HUB_LORA_KINDS = Object.keys(SETTINGS) as [HubLoraKind, ...HubLoraKind[]];

export const hubLoraFields = {
  r: z.int().min(1).max(MAX_RANK),
  target_modules: z.array(z.enum(HUB_LORA_KINDS)).min(1).max(HUB_LORA_KINDS.length),
};

/** LoRA in a union. */
export interface HubLoraConfig extends Pick<LoraConfig, 'r' | 'dropout' | CommonField> {
  readonly target_modules: readonly HubLoraKind[];
}

/** What AdapterHub's settings say of LoRA in a union. */
export interface HubLoraFileConfig {
  readonly r: number;
  readonly kinds: readonly HubLoraKind[];
  /** Layers that have none. */
  readonly leaveOut: readonly number[];
}

/** The factors of one linear layer. */
export interface HubLoraTarget extends LoraTarget {
  /** How many layers the file is for. */
  readonly layers: number;
}

const ATTENTION = ['q', 'k', 'v'] as const;
const notVera = z.null('VeRA is not served').optional();

const keys = z.object({
  r: hubLoraFields.r.default(8),
  attn_matrices: z.array(z.enum(ATTENTION)).max(ATTENTION.length).default(['q', 'v']),
  selfattn_lora: z.boolean().default(true),
  intermediate_lora: z.boolean().default(false),
  output_lora: z.boolean().default(false),
  leave_out: layersLeftOut,
  composition_mode: z.literal('add', 'only "add" is served: (IA)³ is none of a union').default('add'),
  vera_b: notVera,
  vera_d: notVera,
});

const PATTERN = /\.loras\.[^.]+\.lora_A$/;

/** The names of a layer's tensors and of its gate, of an adapter of this name. */
export function hubLoraNames(module: string, name: string) {
  const prefix = `${module}.loras.${name}`;
  return { a: `${prefix}.lora_A`, b: `${prefix}.lora_B`, gate: `${prefix}.gate` };
}

/** LoRA as AdapterHub writes it in a union (adapters 1.2, methods/lora.py), where a gate stands in the place of alpha / r. */
export const hubLora: Member<HubLoraConfig, HubLoraFileConfig, HubLoraTarget> = {
  keys: keys.shape,
  withoutEffect: ['alpha', 'dropout', 'dtype', 'init_weights', 'init_weights_seed'],
  parse: (file) => {
    const config = file as z.infer<typeof keys>;
    const { attn_matrices, selfattn_lora, leave_out } = config;
    const kinds = HUB_LORA_KINDS.filter((kind) => {
      const setting = SETTINGS[kind];
      return 'flag' in setting
        ? config[setting.flag]
        : selfattn_lora && attn_matrices.includes(setting.attention);
    });
    return { r: config.r, kinds, leaveOut: leave_out ?? [] };
  },
  targets: ({ config: { name, r, kinds, leaveOut }, header, what }, family) => {
    const { indices, layers } = changedLayers(header, family, PATTERN, leaveOut);
    if (indices.length === 0 || kinds.length === 0) fail(what, 'it has no LoRA matrix');
    return indices.flatMap((index) =>
      kinds.map((kind): HubLoraTarget => {
        const module = `${family.layers}${index}.${family.linears[kind]}`;
        const names = hubLoraNames(module, name);
        const [a, b] = [tensor(header, names.a, 2, what), tensor(header, names.b, 2, what)];
        const [rows = 0, inFeatures = 0] = a.shape;
        const [outFeatures = 0, columns = 0] = b.shape;
        if (rows !== r || columns !== r) {
          const shapes = `lora_A of ${shown(module)} is [${a.shape}] and lora_B [${b.shape}]`;
          fail(what, `${shapes}, adapter_config.json gives them rank ${r}`);
        }
        return { module, layers, r, inFeatures, outFeatures, scaling: 1, a, b, magnitude: null };
      }),
    );
  },
  tensorsOf: (target) =>
    loraFormat.tensorsOf(target).map(({ needed, ...tensorOf }) => ({
      ...tensorOf,
      needed: (base, what) => {
        requireLayers(target.layers, base, what);
        return needed(base, what);
      },
    })),
  gainsOf: loraFormat.gainsOf,
  write: ({ method: { r, target_modules, dropout } }) => {
    const attention = HUB_LORA_KINDS.flatMap((kind) => {
      const setting = SETTINGS[kind];
      return target_modules.includes(kind) && 'attention' in setting ? [setting.attention] : [];
    });
    return {
      alpha: r,
      architecture: 'lora',
      attn_matrices: attention,
      composition_mode: 'add',
      dropout,
      dtype: null,
      init_weights: 'lora',
      init_weights_seed: null,
      intermediate_lora: target_modules.includes('intermediate'),
      leave_out: [],
      output_lora: target_modules.includes('output'),
      r,
      selfattn_lora: attention.length > 0,
      vera_b: null,
      vera_d: null,
    };
  },
};

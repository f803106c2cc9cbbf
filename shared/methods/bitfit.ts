import { z } from 'zod';
import type { Family } from '../families.ts';
import type { TensorEntry } from '../safetensors.ts';
import { common, orAuto } from './fields.ts';
import {
  type AdapterFile,
  type AdapterFormat,
  byModule,
  isMeantBy,
  PEFT_PREFIX,
  type TargetTensor,
  tensor,
  tensorName,
} from './format.ts';
import { loraInitialization, loraTensorName } from './lora.ts';
import { isNorm, type LinearTarget, linearSides, normWidth } from './places.ts';
import { fail, shown } from './refusal.ts';

const fields = {
  biases: z.enum(['all', 'query_and_intermediate']),
  ...common,
};

/**
 * BitFit (Ben Zaken et al. 2022, arXiv:2106.10199): the base model's own biases are trained, all of them with those of its norms, or those of
 * queries and of the first feed-forward layers, which the paper found to come close.
 */
export const bitfitConfig = z.strictObject({ type: z.literal('bitfit'), ...fields });
export type BitfitConfig = z.infer<typeof bitfitConfig>;
export const bitfitRequest = z.strictObject({ type: z.literal('bitfit'), ...orAuto(fields) });

/** The bias of one linear layer or norm. */
export interface BiasTarget extends LinearTarget {
  readonly isNorm: boolean;
  /** [out] */
  readonly bias: TensorEntry;
  /** LoRA's A [r, in] and B [out, r] of a layer that PEFT wrapped; one of them is 0. */
  readonly idle: readonly [a: TensorEntry, b: TensorEntry] | null;
}

/** Values of PEFT's `bias` with which biases are trained. */
const TRAINED = ['all', 'lora_only'];

/** Whether the paper's subset has the bias of a linear layer. */
export function isInSubset({ linears }: Family, module: string): boolean {
  return [linears.query, linears.intermediate].some((name) => isMeantBy(name, module));
}

/** The one linear layer, of those whose biases are trained, that PEFT is told to wrap: it loads no adapter that wraps none. */
export function wrappedModule(modules: readonly string[]): string {
  return modules[0]!;
}

/** Name in PEFT's models of the bias of a layer that is wrapped. */
export const wrappedBias = (module: string) => `${module}.base_layer.bias`;

/** BitFit as HF PEFT can keep it: LoRA with trained biases (`bias`, peft/tuners/lora/config.py, release 0.21) whose own matrices come to 0. */
export const bitfitFormat: AdapterFormat<BitfitConfig, object, BiasTarget> = {
  peftType: 'LORA',
  learningRate: 1e-3,
  matches: ({ bias }) => TRAINED.includes(bias as string),
  ...byModule('bias', /^base_model\.model\.(.+?)(?:(?:\.base_layer)?\.bias|\.lora_[AB]\.weight)$/, describe),
  keys: { bias: z.enum(TRAINED), init_lora_weights: loraInitialization },
  // What says how to use matrices that come to 0.
  withoutEffect: [
    'alpha_pattern',
    'eva_config',
    'lora_alpha',
    'lora_dropout',
    'megatron_core',
    'qalora_group_size',
    'r',
    'rank_pattern',
    'runtime_config',
    'use_rslora',
  ],
  parse: () => ({}),
  isSpare,
  tensorsOf: (target) => [
    {
      label: `bias of ${target.module}`,
      entry: target.bias,
      needed: (base, what) => [
        target.isNorm ? normWidth(target.module, base, what) : linearSides(target, base, what)[1],
      ],
    },
    ...idleTensors(target),
  ],
  gainsOf: ({ module, bias }, normOf) => [[`bias of ${module}`, normOf(bias)]],
  requireValues: ({ module, idle }, normOf, what) => {
    if (!idle || idle.some((entry) => normOf(entry) === 0)) return;
    const message = `neither lora_A nor lora_B of ${shown(module)} is 0: biases are served that were trained alone (BitFit), not beside LoRA`;
    fail(what, message);
  },
  methodOf: (_config, targets, family) => ({
    type: 'bitfit',
    biases: targets.every(({ module }) => isInSubset(family, module)) ? 'query_and_intermediate' : 'all',
  }),
  write: ({ modules }) => ({
    alpha_pattern: {},
    bias: 'all',
    fan_in_fan_out: false,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: 1,
    lora_dropout: 0,
    r: 1,
    rank_pattern: {},
    target_modules: [wrappedModule(modules)],
    use_dora: false,
    use_rslora: false,
  }),
};

function describe(module: string, { header, what }: AdapterFile<object>, family: Family): BiasTarget {
  const wrapped = PEFT_PREFIX + wrappedBias(module);
  const matrices = [loraTensorName(module, 'A'), loraTensorName(module, 'B')] as const;
  const isWrapped = [wrapped, ...matrices].some((name) => header.tensors.has(name));
  const bias = tensor(header, isWrapped ? wrapped : tensorName(module, 'bias'), 1, what);
  const [a, b] = isWrapped ? matrices.map((name) => tensor(header, name, 2, what)) : [];
  const about = { module, isNorm: isNorm(family, module), bias, outFeatures: bias.shape[0]! };
  return a && b ? { ...about, inFeatures: a.shape[1]!, idle: [a, b] } : { ...about, idle: null };
}

function idleTensors(target: BiasTarget): TargetTensor[] {
  if (!target.idle) return [];
  const [a, b] = target.idle;
  const rank = a.shape[0]!;
  return [
    {
      label: `lora_A of ${target.module}`,
      entry: a,
      needed: (base, what) => [rank, linearSides(target, base, what)[0]],
    },
    {
      label: `lora_B of ${target.module}`,
      entry: b,
      needed: (base, what) => [linearSides(target, base, what)[1], rank],
    },
  ];
}

/**
 * Whether a tensor is a copy of one of the head's biases, which PEFT writes beside it: it saves all that is called a bias, of the head that it
 * trains and of the one that this replaced.
 */
function isSpare(name: string, { head }: Family): boolean {
  const copy =
    /^base_model\.model\.(\w+)\.(?:original_module|modules_to_save(?:\.default)?)((?:\.\w+)?)\.bias$/;
  const [, module = '', layer = ''] = copy.exec(name) ?? [];
  return head.includes(module + layer);
}

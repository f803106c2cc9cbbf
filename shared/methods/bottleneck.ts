import { z } from 'zod';
import { FAMILIES, type Family, SUBLAYERS, type SublayerKind } from '../families.ts';
import type { TensorEntry } from '../safetensors.ts';
import { common, orAuto } from './fields.ts';
import { type AdapterFile, type AdapterFormat, tensor } from './format.ts';
import { type BaseShape, changedLayers, requireLayers } from './places.ts';
import { fail, shown } from './refusal.ts';

/** Where a bottleneck reads, by the paper that put it there; AdapterHub's `seq_bn`, `double_seq_bn` and `par_bn`. */
export const PLACEMENTS = ['pfeiffer', 'houlsby', 'parallel'] as const;
export type Placement = (typeof PLACEMENTS)[number];
export const ACTIVATIONS = ['relu', 'swish', 'gelu', 'tanh'] as const;
export type Activation = (typeof ACTIVATIONS)[number];

/** The halves of a layer in which there is one. */
export const PLACED_IN: Readonly<Record<Placement, readonly SublayerKind[]>> = {
  pfeiffer: ['output'],
  houlsby: SUBLAYERS,
  parallel: ['output'],
};

const MAX_WIDTH = 1024;

export const bottleneckFields = {
  width: z.int().min(1).max(MAX_WIDTH),
  activation: z.enum(ACTIVATIONS),
  scaling: z.number().positive().max(1000),
};
const fields = { placement: z.enum(PLACEMENTS), ...bottleneckFields, ...common };

/**
 * Bottleneck adapters (Houlsby et al. 2019, arXiv:1902.00751; Pfeiffer et al. 2021, arXiv:2005.00247; He et al. 2022, arXiv:2110.04366): at the
 * end of half a layer, s·(up·σ(down·z + b) + b) is added, `width` wide within.
 */
export const bottleneckConfig = z.strictObject({ type: z.literal('bottleneck'), ...fields });
export type BottleneckConfig = z.infer<typeof bottleneckConfig>;
export const bottleneckRequest = z.strictObject({ type: z.literal('bottleneck'), ...orAuto(fields) });

/** What decides how a file's tensors are applied. */
export interface BottleneckFileConfig {
  /** What the adapter is called in the names of its tensors. */
  readonly name: string;
  readonly placement: Placement;
  readonly activation: Activation;
  readonly scaling: number;
  /** Layers that have none. */
  readonly leaveOut: readonly number[];
}

/** The bottleneck of one half of a layer. */
export interface BottleneckTarget {
  readonly placement: Placement;
  readonly activation: Activation;
  readonly scaling: number;
  readonly kind: SublayerKind;
  /** Which layer's, from 0; and how many layers the file is for. */
  readonly index: number;
  readonly layers: number;
  /** Name of what holds it, e.g. `bert.encoder.layer.0.output`. */
  readonly module: string;
  readonly width: number;
  /** [width, hidden], [width], [hidden, width] and [hidden]. */
  readonly down: TensorEntry;
  readonly downBias: TensorEntry;
  readonly up: TensorEntry;
  readonly upBias: TensorEntry;
}

const FLAGS = ['is_parallel', 'original_ln_before', 'mh_adapter', 'output_adapter'] as const;
type Flags = Readonly<Record<(typeof FLAGS)[number], boolean>>;

/** AdapterHub's keys for each placement. */
const FLAGS_OF: Readonly<Record<Placement, Flags>> = {
  pfeiffer: { is_parallel: false, original_ln_before: true, mh_adapter: false, output_adapter: true },
  houlsby: { is_parallel: false, original_ln_before: false, mh_adapter: true, output_adapter: true },
  parallel: { is_parallel: true, original_ln_before: false, mh_adapter: false, output_adapter: true },
};

/** Layers that AdapterHub leaves as they are, in its settings. */
export const layersLeftOut = z.array(z.int().min(0).max(9999)).max(1000).nullish();

const never = (why: string) => z.literal(false, why).default(false);

const keys = z.object({
  mh_adapter: z.boolean(),
  output_adapter: z.boolean(),
  original_ln_before: z.boolean().default(false),
  is_parallel: z.boolean().default(false),
  non_linearity: z.enum([...ACTIVATIONS, 'silu'], {
    error: `only ${ACTIVATIONS.map((each) => JSON.stringify(each)).join(', ')} are served`,
  }),
  scaling: z.number('a learned scaling is not served').positive().max(1e6).default(1),
  leave_out: layersLeftOut,
  original_ln_after: z.literal(true, 'an adapter after the last norm is not served').default(true),
  residual_before_ln: z.literal(true, 'only true is served').default(true),
  ln_before: never('a norm within the adapter is not served'),
  ln_after: never('a norm within the adapter is not served'),
  use_gating: never('gates are not served'),
  phm_layer: never('layers of Compacter are not served'),
  inv_adapter: z.null('invertible adapters are not served').optional(),
});

const PATTERN = /^(.+)\.adapters\.([^.]+)\.adapter_(?:down\.0|up)\.(?:weight|bias)$/;

/** Bottleneck adapters as AdapterHub writes them (adapters 1.2, methods/modeling.py and configuration/adapter_config.py). */
export const bottleneckFormat: AdapterFormat<BottleneckConfig, BottleneckFileConfig, BottleneckTarget> = {
  layout: 'adapterhub',
  peftType: 'bottleneck',
  learningRate: 1e-3,
  tensorTitle: 'bottleneck tensor',
  fileName: (name) => name,
  keys: keys.shape,
  // Widths are seen by the tensors' shapes; the rest says how it was trained, or belongs to what is refused where it is on.
  withoutEffect: [
    'adapter_residual_before_ln',
    'cross_adapter',
    'dropout',
    'factorized_phm_W',
    'factorized_phm_rule',
    'hypercomplex_nonlinearity',
    'init_weights',
    'init_weights_seed',
    'inv_adapter_reduction_factor',
    'learn_phm',
    'phm_bias',
    'phm_c_init',
    'phm_dim',
    'phm_init_range',
    'phm_rank',
    'reduction_factor',
    'shared_W_phm',
    'shared_phm_rule',
    'stochastic_depth',
  ],
  parse: (file, what) => {
    const config = file as z.infer<typeof keys>;
    const placement = PLACEMENTS.find((each) => FLAGS.every((flag) => FLAGS_OF[each][flag] === config[flag]));
    if (!placement) {
      const given = FLAGS.map((flag) => `${flag} ${config[flag]}`).join(', ');
      return fail(what, `adapter_config.json: ${given}: only seq_bn, double_seq_bn and par_bn are served`);
    }
    const { non_linearity, scaling, leave_out } = config;
    const activation = non_linearity === 'silu' ? 'swish' : non_linearity;
    return { placement, activation, scaling, leaveOut: leave_out ?? [] } as unknown as BottleneckFileConfig;
  },
  familyOf: ({ header, what }) => {
    const families = Object.values(FAMILIES);
    const first = [...header.tensors.keys()].find((name) => PATTERN.test(name));
    if (first === undefined) return fail(what, 'it has no bottleneck tensor');
    const family = families.find(({ root }) => first.startsWith(`${root}.`));
    const known = families.map(({ title }) => title).join(', ');
    return family ?? fail(what, `tensor ${shown(first)} belongs to none of the encoders there are: ${known}`);
  },
  targets: describe,
  tensorsOf: ({ module, layers, width, down, downBias, up, upBias }) => {
    const sized = (shape: (hidden: number) => number[]) => (base: BaseShape, what: string) => {
      requireLayers(layers, base, what);
      return shape(base.hidden_size);
    };
    return [
      { label: `adapter_down of ${module}`, entry: down, needed: sized((hidden) => [width, hidden]) },
      { label: `adapter_down's bias of ${module}`, entry: downBias, needed: sized(() => [width]) },
      { label: `adapter_up of ${module}`, entry: up, needed: sized((hidden) => [hidden, width]) },
      { label: `adapter_up's bias of ${module}`, entry: upBias, needed: sized((hidden) => [hidden]) },
    ];
  },
  gainsOf: ({ module, scaling, down, downBias, up, upBias }, normOf) => {
    const [first, last] = [normOf(down) + normOf(downBias), scaling * normOf(up)];
    return [
      [`adapter_down of ${module}`, first],
      [`adapter_up of ${module}, scaled by ${scaling},`, last],
      [`adapter_up times adapter_down of ${module}, scaled by ${scaling},`, last * first],
      [`adapter_up's bias of ${module}, scaled by ${scaling},`, scaling * normOf(upBias)],
    ];
  },
  methodOf: ({ placement, activation, scaling }, targets) => ({
    type: 'bottleneck',
    placement,
    width: Math.max(...targets.map(({ width }) => width)),
    activation,
    scaling,
  }),
  write: ({ method: { placement, width, activation, scaling }, encoder: { hiddenSize } }) => ({
    ...FLAGS_OF[placement],
    ...UNUSED,
    non_linearity: activation,
    // The library makes the width of it by dividing and rounding down.
    reduction_factor: hiddenSize % width === 0 ? hiddenSize / width : hiddenSize / (width + 0.5),
    scaling,
  }),
};

/** What AdapterHub's own files say beside. */
const UNUSED = {
  adapter_residual_before_ln: false,
  cross_adapter: false,
  dropout: 0,
  init_weights: 'mam_adapter',
  init_weights_seed: null,
  inv_adapter: null,
  inv_adapter_reduction_factor: null,
  leave_out: [],
  ln_after: false,
  ln_before: false,
  original_ln_after: true,
  phm_layer: false,
  residual_before_ln: true,
  stochastic_depth: 0,
  use_gating: false,
};

/** The names of a bottleneck's tensors, and of the gate of one, in what holds it and of an adapter of this name. */
export function bottleneckTensorNames(module: string, name: string) {
  const prefix = `${module}.adapters.${name}`;
  return {
    gate: `${prefix}.gate`,
    down: `${prefix}.adapter_down.0.weight`,
    downBias: `${prefix}.adapter_down.0.bias`,
    up: `${prefix}.adapter_up.weight`,
    upBias: `${prefix}.adapter_up.bias`,
  };
}

/** Every layer that is not left out must have one in each half that the placement says: the library would make up what is missing. */
function describe(
  { config, header, what }: AdapterFile<BottleneckFileConfig>,
  family: Family,
): BottleneckTarget[] {
  const { name, placement, activation, scaling, leaveOut } = config;
  const { indices, layers } = changedLayers(header, family, PATTERN, leaveOut);
  return indices.flatMap((index) =>
    PLACED_IN[placement].map((kind) => {
      const module = `${family.layers}${index}.${family.adapters[kind]}`;
      const names = bottleneckTensorNames(module, name);
      const down = tensor(header, names.down, 2, what);
      const downBias = tensor(header, names.downBias, 1, what);
      const up = tensor(header, names.up, 2, what);
      const upBias = tensor(header, names.upBias, 1, what);
      const width = down.shape[0]!;
      return {
        placement,
        activation,
        scaling,
        kind,
        index,
        layers,
        module,
        width,
        down,
        downBias,
        up,
        upBias,
      };
    }),
  );
}

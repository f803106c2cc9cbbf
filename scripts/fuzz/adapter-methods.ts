import type { BaseModelOutline } from '../../gpu-node/models/open-base-model.ts';
import type { LinearLayer } from '../../gpu-node/models/sites.ts';
import { ADAPTER_CONFIG_FILE, type BundleFile, type WeftFile } from '../../shared/adapter-format.ts';
import { HUB_NAME } from '../../shared/adapterhub-config.ts';
import { configFileTexts } from '../../shared/config-files.ts';
import {
  ACTIVATIONS,
  bottleneckTensorNames,
  PLACED_IN,
  PLACEMENTS,
  type Placement,
} from '../../shared/methods/bottleneck.ts';
import { tensorName } from '../../shared/methods/format.ts';
import { gateTensorNames } from '../../shared/methods/gated.ts';
import { hubLoraNames } from '../../shared/methods/hub-lora.ts';
import { hubPrefixGateName, hubPrefixName } from '../../shared/methods/hub-prefix.ts';
import { formatOf, type MethodType } from '../../shared/methods/index.ts';
import { loraTensorName, magnitudeTensorName } from '../../shared/methods/lora.ts';
import { PROMPT_TENSOR } from '../../shared/methods/prompt-format.ts';
import type { MamConfig, PeftConfig, Pooling, UnipeltConfig } from '../../shared/peft-config.ts';
import type { Choices } from './choices.ts';

/** What an adapter is made for. */
export interface Subject extends BaseModelOutline {
  readonly id: string;
  readonly pooling: Pooling;
}

/** An adapter of one method as its files say it, beside the head. */
export interface Drawn {
  readonly type: MethodType;
  /** The shapes of its tensors, by their names in the file. */
  readonly tensors: [string, number[]][];
  /** Its files of settings. */
  readonly configs: [BundleFile, object][];
}

type Draw = (subject: Subject, choices: Choices) => Drawn;
type Shapes = [string, number[]][];

/** Some linear layers of an encoder in PEFT's files, from the tensors of one layer and the keys of adapter_config.json. */
function ofLayers(
  type: MethodType,
  draw: (choices: Choices) => { shapesOf(layer: LinearLayer): Shapes; config: object },
): Draw {
  return ({ id, pooling, architecture }, choices) => {
    const { shapesOf, config } = draw(choices);
    const linears = architecture.linears(pooling);
    const layers = [choices.pick(linears), ...linears.filter(() => choices.rarely(3))];
    return { type, tensors: [...new Map(layers.flatMap(shapesOf))], configs: [settings(id, config)] };
  };
}

/** PEFT's file of settings. */
function settings(id: string, config: object): [BundleFile, object] {
  const common = { task_type: 'SEQ_CLS', target_modules: ['query'], base_model_name_or_path: id };
  return [ADAPTER_CONFIG_FILE, { ...common, ...config }];
}

/** Numbers in a row of each prompt method's tensor. */
const PROMPT_WIDTHS = {
  prompt_tuning: ({ hiddenSize }: Subject['architecture']) => hiddenSize,
  p_tuning: ({ hiddenSize }: Subject['architecture']) => hiddenSize,
  prefix_tuning: ({ hiddenSize, layers }: Subject['architecture']) => 2 * layers * hiddenSize,
};
const PROMPT_TYPES = Object.keys(PROMPT_WIDTHS) as (keyof typeof PROMPT_WIDTHS)[];

/** Draws an adapter of each kind of file. */
export const METHODS: readonly Draw[] = [
  ofLayers('lora', (choices) => {
    const r = choices.between(1, 3);
    const use_dora = choices.rarely(3);
    const key = choices.usually(['query', '.*', 'layer.0', '[z-a]', '(a+)+$', '']);
    const pattern = choices.rarely(4) ? { [key]: choices.usually([r, 300, 0]) } : {};
    return {
      shapesOf: ({ name, inFeatures, outFeatures }) => [
        [loraTensorName(name, 'A'), [r, inFeatures]],
        [loraTensorName(name, 'B'), [choices.fault(20) ? outFeatures + 1 : outFeatures, r]],
        ...(use_dora ? [[magnitudeTensorName(name), [outFeatures]] as [string, number[]]] : []),
      ],
      config: {
        peft_type: 'LORA',
        r,
        lora_alpha: choices.usually([8, 1e-9, 1e6, 1e300]),
        rank_pattern: pattern,
        alpha_pattern: choices.rarely(4) ? pattern : {},
        use_rslora: choices.rarely(4),
        use_dora,
        bias: 'none',
        lora_dropout: 0.1,
      },
    };
  }),
  ofLayers('ia3', (choices) => ({
    shapesOf: ({ name, inFeatures, outFeatures }) => {
      const size = choices.fault(20) ? 1 : 0;
      return [
        [tensorName(name, 'ia3_l'), choices.rarely(3) ? [1, inFeatures + size] : [outFeatures + size, 1]],
      ];
    },
    config: { peft_type: 'IA3', feedforward_modules: [], init_ia3_weights: true },
  })),
  ofLayers('bitfit', (choices) => {
    const r = choices.between(1, 2);
    return {
      shapesOf: ({ name, inFeatures, outFeatures }) => {
        const size = choices.fault(20) ? outFeatures + 1 : outFeatures;
        if (choices.rarely(2)) return [[tensorName(name, 'bias'), [size]]];
        // What the scan finds of a matrix of random numbers is no 0: only a file without one is sound.
        return choices.fault(6)
          ? [
              [tensorName(name, 'base_layer.bias'), [size]],
              [loraTensorName(name, 'A'), [r, inFeatures]],
              [loraTensorName(name, 'B'), [outFeatures, r]],
            ]
          : [[tensorName(name, 'bias'), [outFeatures]]];
      },
      config: { peft_type: 'LORA', r, bias: choices.pick(['all', 'lora_only']), init_lora_weights: true },
    };
  }),
  ofLayers('road', (choices) => {
    const variant = choices.usually(['road_1', 'road_2', 'road_4', 'road_3'] as const);
    const factor = { road_1: 0.5, road_2: 1, road_4: 2, road_3: 1 }[variant];
    return {
      shapesOf: ({ name, outFeatures }) => {
        const size = factor * outFeatures;
        return [
          [tensorName(name, 'road_theta'), [size]],
          [tensorName(name, 'road_alpha'), [choices.fault(20) ? size + 1 : size]],
        ];
      },
      config: {
        peft_type: 'ROAD',
        variant,
        group_size: choices.usually([8, 2, 16, 0, 3, 1e9]),
        init_weights: true,
      },
    };
  }),
  ({ id, architecture }, choices) => {
    const count = choices.usually([3, 1, 30, 505]);
    const type = choices.pick(PROMPT_TYPES);
    const width = PROMPT_WIDTHS[type](architecture) + (choices.fault(20) ? 1 : 0);
    const config = {
      peft_type: formatOf(type).peftType,
      num_virtual_tokens: choices.usually([count, 0, 2.5, '3']),
      num_transformer_submodules: choices.usually([1, null, 2]),
      token_dim: 32,
      ...(type === 'prefix_tuning' && {
        prefix_projection: choices.rarely(2),
        encoder_hidden_size: choices.pick([12, null, 1e9, '12']),
      }),
    };
    return { type, tensors: [[PROMPT_TENSOR, [count, width]]], configs: [settings(id, config)] };
  },
  ({ id, pooling, architecture }, choices) => {
    const placement = choices.pick(PLACEMENTS);
    const config = { type: 'bottleneck' as const, placement, ...drawnBottleneck(choices) };
    const tensors = bottlenecks(placement, config.width, architecture, choices);
    return ofAdapterHub(id, { ...config, pooling, base_precision: 'fp32' }, architecture, tensors);
  },
  ({ id, pooling, architecture }, choices) => {
    const { family, hiddenSize, layers } = architecture;
    const count = choices.usually([2, 1, 30, 505]);
    const own = drawnBottleneck(choices);
    const config: MamConfig = {
      type: 'mam',
      num_virtual_tokens: count,
      prefix_projection: choices.rarely(2),
      encoder_hidden_size: choices.usually([4, 1024, 1025]),
      dropout: 0,
      ...own,
      pooling,
      base_precision: 'fp32',
    };
    const size = count * 2 * layers * hiddenSize + (choices.fault(20) ? 1 : 0);
    const tensors: Shapes = [
      [hubPrefixName(family, choices.usually([HUB_NAME, 'x'])), [size]],
      ...bottlenecks('parallel', own.width, architecture, choices),
    ];
    return ofAdapterHub(id, config, architecture, tensors);
  },
  ({ id, pooling, architecture }, choices) => {
    const { family, hiddenSize, layers } = architecture;
    const count = choices.usually([2, 1, 30, 505]);
    const own = drawnBottleneck(choices);
    const config: UnipeltConfig = {
      type: 'unipelt',
      num_virtual_tokens: count,
      prefix_projection: choices.rarely(2),
      encoder_hidden_size: choices.usually([4, 1024, 1025]),
      dropout: 0,
      ...own,
      r: choices.usually([2, 1, 0, 257]),
      target_modules: choices.fault(20)
        ? []
        : choices.pick([['query', 'value'], ['output'], ['key', 'intermediate', 'output']]),
      pooling,
      base_precision: 'fp32',
    };
    const name = choices.usually([HUB_NAME, 'x']);
    const gate = (of: string, width: number): Shapes => {
      const { weight, bias } = gateTensorNames(of);
      return choices.fault(20)
        ? [[weight, [1, width]]]
        : [
            [weight, [choices.fault(20) ? 2 : 1, width]],
            [bias, [1]],
          ];
    };
    const indices = Array.from({ length: layers }, (_, index) => index);
    const modules = indices.flatMap((index) =>
      config.target_modules.map((kind) => `${family.layers}${index}.${family.linears[kind]}`),
    );
    const changed = architecture.linears('mean').filter((layer) => modules.includes(layer.name));
    const tensors: Shapes = [
      [hubPrefixName(family, name), [count * 2 * layers * hiddenSize]],
      ...indices.flatMap((index) => gate(hubPrefixGateName(family, index, name), hiddenSize)),
      ...bottlenecks('pfeiffer', own.width, architecture, choices),
      ...indices.flatMap((index) => {
        const module = `${family.layers}${index}.${family.adapters.output}`;
        return gate(bottleneckTensorNames(module, name).gate, hiddenSize);
      }),
      ...changed.flatMap((layer): Shapes => {
        const names = hubLoraNames(layer.name, name);
        return [
          [names.a, [config.r, layer.inFeatures]],
          [names.b, [layer.outFeatures, choices.fault(20) ? config.r + 1 : config.r]],
          ...gate(names.gate, layer.inFeatures),
        ];
      }),
    ];
    return ofAdapterHub(id, config, architecture, tensors);
  },
];

function drawnBottleneck(choices: Choices) {
  return {
    width: choices.between(1, 5),
    activation: choices.pick(ACTIVATIONS),
    scaling: choices.usually([1, 4, 1e-9, 1e6, 1e300, 0, -1]),
  };
}

/** The tensors of a bottleneck in every layer. */
function bottlenecks(
  placement: Placement,
  wide: number,
  { family, hiddenSize, layers }: Subject['architecture'],
  choices: Choices,
): Shapes {
  return Array.from({ length: choices.fault(20) ? layers + 1 : layers }, (_, index) =>
    PLACED_IN[placement].flatMap((kind): Shapes => {
      const module = `${family.layers}${index}.${family.adapters[kind]}`;
      const names = bottleneckTensorNames(module, choices.usually([HUB_NAME, 'x', '']));
      const width = choices.fault(20) ? wide + 1 : wide;
      return [
        [names.down, [width, hiddenSize]],
        [names.downBias, [wide]],
        [names.up, [hiddenSize, wide]],
        [names.upBias, [hiddenSize]],
      ];
    }),
  ).flat();
}

/** With the files of settings of AdapterHub's layout. */
function ofAdapterHub(
  id: string,
  method: PeftConfig,
  architecture: Subject['architecture'],
  tensors: Shapes,
): Drawn {
  const input = { method, encoder: architecture, modules: [], baseModel: id, revision: null };
  const weft = { labels: ['a', 'b'], pooling: method.pooling } as unknown as WeftFile;
  const texts = configFileTexts(input, weft);
  return { type: method.type, tensors, configs: texts.map(([file, text]) => [file, JSON.parse(text)]) };
}

import { HUB_NAME } from '../../shared/adapterhub-config.ts';
import { bottleneckTensorNames, PLACED_IN, type Placement } from '../../shared/methods/bottleneck.ts';
import type { BottleneckConfig } from '../../shared/peft-config.ts';
import { type TensorEntry, toFloat32 } from '../../shared/safetensors.ts';
import type { Architecture } from '../models/model.ts';
import { mul, swapLastAxes } from '../ops/index.ts';
import {
  type BottleneckMatrices,
  type BottleneckPlace,
  bottleneckNumbers,
  bottleneckSites,
  placeName,
} from '../parts/bottleneck.ts';
import { asLinear, drawn, filled, type Trainable } from '../parts/trainable.ts';
import { given, type PeftMethod } from './method.ts';

/** As AdapterHub's configurations have it: `seq_bn`, `double_seq_bn` and `par_bn`. */
const DEFAULTS: Readonly<
  Record<Placement, { reduction: number; activation: BottleneckConfig['activation']; scaling: number }>
> = {
  pfeiffer: { reduction: 16, activation: 'relu', scaling: 1 },
  houlsby: { reduction: 16, activation: 'swish', scaling: 1 },
  parallel: { reduction: 2, activation: 'relu', scaling: 4 },
};

/**
 * Bottleneck adapters as AdapterHub defines them (adapters/methods/modeling.py): f(z) = s·(up·σ(down·z + b) + b) is added at the end of half a
 * layer. They start as He et al. 2022 start theirs, with an `up` of 0, so that training starts at the base model.
 */
export const bottleneck: PeftMethod<'bottleneck'> = {
  resolve: ({ type, ...request }, { hiddenSize }) => {
    const placement = given(request.placement, 'pfeiffer');
    const { reduction, activation, scaling } = DEFAULTS[placement];
    return {
      type,
      placement,
      width: given(request.width, Math.max(1, Math.floor(hiddenSize / reduction))),
      activation: given(request.activation, activation),
      scaling: given(request.scaling, scaling),
    };
  },
  toShrink: { field: 'width', way: 'lower method.width' },
  modules: (config, architecture) =>
    placesOf(config, architecture).map((place) => moduleOf(place, architecture)),
  trainables: (config, architecture) =>
    placesOf(config, architecture).flatMap((place) =>
      tensorsOf(moduleOf(place, architecture), config.width, architecture.hiddenSize),
    ),
  sites: (config, architecture, parameters) =>
    bottleneckSites(placesOf(config, architecture), (place) => {
      const { scaling } = config;
      const names = bottleneckTensorNames(moduleOf(place, architecture), HUB_NAME);
      return {
        down: swapLastAxes(parameters[names.down]!),
        downBias: parameters[names.downBias]!,
        up: mul(swapLastAxes(parameters[names.up]!), scaling),
        upBias: mul(parameters[names.upBias]!, scaling),
      };
    }),
  dropout: () => 0,
  plan: ({ targets }) => ({ bottleneck: targets.map(placeName) }),
  load: async ({ targets }, bytes) => {
    const floats = (entry: TensorEntry) => toFloat32(bytes(entry), entry);
    const bottlenecks = targets.map((target): [string, BottleneckMatrices] => [
      placeName(target),
      {
        width: target.width,
        hiddenSize: target.down.shape[1]!,
        scaling: target.scaling,
        down: () => floats(target.down),
        downBias: () => floats(target.downBias),
        up: () => floats(target.up),
        upBias: () => floats(target.upBias),
      },
    ]);
    return { bottleneck: bottleneckNumbers(new Map(bottlenecks)) };
  },
};

export function placesOf(
  { placement, activation }: BottleneckConfig,
  { layers }: Architecture,
): BottleneckPlace[] {
  return Array.from({ length: layers }, (_, index) =>
    PLACED_IN[placement].map((kind) => ({ placement, activation, kind, index })),
  ).flat();
}

export function moduleOf({ index, kind }: BottleneckPlace, { family }: Architecture): string {
  return `${family.layers}${index}.${family.adapters[kind]}`;
}

/** `down` starts as torch's linear layers do; everything else is 0. */
function tensorsOf(module: string, width: number, hiddenSize: number): Trainable[] {
  const names = bottleneckTensorNames(module, HUB_NAME);
  return [
    drawn(names.down, [width, hiddenSize], asLinear(hiddenSize)),
    filled(names.downBias, [width], 0),
    filled(names.up, [hiddenSize, width], 0),
    filled(names.upBias, [hiddenSize], 0),
  ];
}

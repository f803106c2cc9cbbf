import type { PTuningConfig } from '../../shared/peft-config.ts';
import type { Value } from '../graph/ir.ts';
import type { Dropout } from '../models/sites.ts';
import { linear, mul, relu, swapLastAxes } from '../ops/index.ts';
import type { Parameters } from '../parts/part.ts';
import type { DrawnTrainable } from '../parts/trainable.ts';
import type { Random } from '../random.ts';
import { type Direction, lstmLayer } from './lstm.ts';
import { normals } from './prompt.ts';

/*
 * What P-tuning computes a prompt with while it trains (peft/tuners/p_tuning/model.py): an embedding of the virtual tokens, through three
 * linear layers, or through a bidirectional LSTM and two. Tensors are named as in PEFT's module, and begin as torch begins them.
 */

const EMBEDDING = 'prompt_encoder.embedding.weight';
const GATES = 4;
const DIRECTIONS = ['', '_reverse'] as const;

type EncoderConfig = Pick<
  PTuningConfig,
  'num_virtual_tokens' | 'encoder' | 'encoder_hidden_size' | 'encoder_num_layers'
>;

export function encoderTrainables(config: EncoderConfig, hidden: number): DrawnTrainable[] {
  const size = config.num_virtual_tokens * hidden;
  return [
    { name: EMBEDDING, shape: [config.num_virtual_tokens, hidden], init: (random) => normals(size, random) },
    ...(config.encoder === 'lstm' ? lstmTrainables(config, hidden) : []),
    ...linears(config, hidden).flatMap(({ name, sides: [inFeatures, outFeatures] }) =>
      uniforms(inFeatures, [
        [`${name}.weight`, [outFeatures, inFeatures]],
        [`${name}.bias`, [outFeatures]],
      ]),
    ),
  ];
}

/** The prompt `[virtual tokens, hidden]`. */
export function encodePrompt(
  config: EncoderConfig,
  hidden: number,
  parameters: Parameters,
  dropout: Dropout,
): Value {
  let x = parameters[EMBEDDING]!;
  if (config.encoder === 'lstm') x = lstm(config, x, parameters, dropout);
  return linears(config, hidden).reduce((value, { name }, i) => {
    const weight = swapLastAxes(parameters[`${name}.weight`]!);
    return linear(i === 0 ? value : relu(value), weight, parameters[`${name}.bias`]!);
  }, x);
}

/** The linear layers by their places in torch's `Sequential`, where activations stand between them. */
function linears({ encoder, encoder_hidden_size: size }: EncoderConfig, hidden: number) {
  const widths = encoder === 'lstm' ? [2 * size, 2 * size, hidden] : [hidden, size, size, hidden];
  return widths.slice(1).map((width, i) => ({
    name: `prompt_encoder.mlp_head.${2 * i}`,
    sides: [widths[i]!, width] as const,
  }));
}

function lstmTrainables(
  { encoder_hidden_size: size, encoder_num_layers: layers }: EncoderConfig,
  hidden: number,
): DrawnTrainable[] {
  const rows = GATES * size;
  return Array.from({ length: layers }, (_, layer) =>
    DIRECTIONS.flatMap((direction) => {
      const name = lstmNames(layer, direction);
      return uniforms(size, [
        [name('weight_ih'), [rows, layer === 0 ? hidden : 2 * size]],
        [name('weight_hh'), [rows, size]],
        [name('bias_ih'), [rows]],
        [name('bias_hh'), [rows]],
      ]);
    }),
  ).flat();
}

/** Dropout lies between two layers. */
function lstm(
  { encoder_num_layers: layers }: EncoderConfig,
  x: Value,
  parameters: Parameters,
  dropout: Dropout,
): Value {
  let y = x;
  for (let layer = 0; layer < layers; layer++) {
    const [forward, backward] = DIRECTIONS.map((direction): Direction => {
      const tensor = (name: string) => parameters[lstmNames(layer, direction)(name)]!;
      return {
        inputWeight: tensor('weight_ih'),
        stateWeight: tensor('weight_hh'),
        inputBias: tensor('bias_ih'),
        stateBias: tensor('bias_hh'),
      };
    });
    const dropped = layer === 0 ? y : dropout.mask(y);
    y = lstmLayer(dropped === y ? y : mul(dropped, dropout.scale), forward!, backward!);
  }
  return y;
}

function lstmNames(layer: number, direction: (typeof DIRECTIONS)[number]) {
  return (tensor: string) => `prompt_encoder.lstm_head.${tensor}_l${layer}${direction}`;
}

/** Tensors whose elements torch draws from ±1/√of. */
function uniforms(of: number, tensors: readonly (readonly [string, number[]])[]): DrawnTrainable[] {
  const bound = 1 / Math.sqrt(of);
  return tensors.map(([name, shape]) => {
    const length = shape.reduce((product, dim) => product * dim, 1);
    const draw = (random: Random) => bound * (2 * random.uniform() - 1);
    return { name, shape, init: (random) => Float32Array.from({ length }, () => draw(random)) };
  });
}

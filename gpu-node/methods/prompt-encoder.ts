import type { PTuningConfig } from '../../shared/peft-config.ts';
import type { Value } from '../graph/ir.ts';
import type { Dropout } from '../models/sites.ts';
import { linear, mul, relu, swapLastAxes } from '../ops/index.ts';
import type { Parameters } from '../parts/part.ts';
import { asLinear, type DrawnTrainable, drawn, linearTrainables, normal } from '../parts/trainable.ts';
import { type Direction, lstmLayer } from './lstm.ts';

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
  return [
    drawn(EMBEDDING, [config.num_virtual_tokens, hidden], normal),
    ...(config.encoder === 'lstm' ? lstmTrainables(config, hidden) : []),
    ...linears(config, hidden).flatMap(({ name, sides }) => linearTrainables(name, ...sides)),
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
      // Torch draws all of an LSTM as it does a linear layer of so many inputs.
      const draw = asLinear(size);
      return [
        drawn(name('weight_ih'), [rows, layer === 0 ? hidden : 2 * size], draw),
        drawn(name('weight_hh'), [rows, size], draw),
        drawn(name('bias_ih'), [rows], draw),
        drawn(name('bias_hh'), [rows], draw),
      ];
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

import { describe, expect, it } from 'vitest';
import { methodOf } from '../../../gpu-node/methods/index.ts';
import { parseArchitecture } from '../../../gpu-node/models/index.ts';
import { requireStorable } from '../../../gpu-node/train/adapter-size.ts';
import { savedShapes } from '../../../gpu-node/train/saved-tensors.ts';
import { METHOD_TYPES } from '../../../shared/methods/index.ts';
import { peftConfig } from '../../../shared/peft-config.ts';

/** The matrices of rank 256 on every linear layer of an encoder. */
const everyLayer = (layers: number, hidden: number) =>
  Array.from({ length: layers }, () => [
    ...Array.from({ length: 8 }, () => [256, hidden]),
    ...[hidden, 4 * hidden, 4 * hidden, hidden].map((width) => [256, width]),
  ]).flat();

it('lets through what can be stored once it is trained, and refuses the rest before, naming the way out', () => {
  const toShrink = { field: 'r', way: 'lower method.r, or name fewer target_modules' };
  requireStorable('peft', { own: everyLayer(6, 384), head: [] }, toShrink);
  expect(() => requireStorable('peft', { own: everyLayer(12, 768), head: [] }, toShrink)).toThrow(
    expect.objectContaining({
      param: 'method.r',
      message:
        'the adapter would have 163 MiB, at most 90 are stored: lower method.r, or name fewer target_modules',
    }),
  );
});

it('counts each file by itself where an adapter has two of tensors', () => {
  const toShrink = { field: 'width', way: 'lower method.width' };
  const head = [[1000, 2000]];
  requireStorable('adapterhub', { own: [[78 * 2 ** 18 - 1000]], head }, toShrink);
  expect(() => requireStorable('adapterhub', { own: [[78 * 2 ** 18]], head }, toShrink)).toThrow(
    expect.objectContaining({
      param: 'method.width',
      message: 'the adapter would have 79 MiB, at most 78 are stored: lower method.width',
    }),
  );
});

it.each([
  ['adapterhub', [[1000, 4096]]],
  [
    'peft',
    [
      [1000, 16_384],
      [16_384, 16_384],
    ],
  ],
] as const)(
  'advises nothing about the method where it is the head that is too large (%s)',
  (layout, head) => {
    const toShrink = { field: 'width', way: 'lower method.width' };
    expect(() => requireStorable(layout, { own: [[8, 16]], head }, toShrink)).toThrow(
      expect.objectContaining({
        param: 'base_model',
        message: expect.stringContaining('are stored: train fewer labels, or a smaller base model'),
      }),
    );
  },
);

describe('what a method stores', () => {
  const bert = parseArchitecture(
    {
      model_type: 'bert',
      vocab_size: 30_522,
      hidden_size: 384,
      num_hidden_layers: 6,
      num_attention_heads: 12,
      intermediate_size: 1536,
      max_position_embeddings: 512,
      type_vocab_size: 2,
      hidden_act: 'gelu',
      layer_norm_eps: 1e-12,
      pad_token_id: 0,
    },
    'a BERT',
  );

  it.each(METHOD_TYPES)('is decided by a field of %s', (type) => {
    const { toShrink } = methodOf({ type });
    const { shape } = peftConfig.options.find((option) => option.shape.type.value === type)!;
    expect(Object.keys(shape)).toContain(toShrink.field);
  });

  it('is the prompt alone, not the network that it was trained through', () => {
    const config = {
      type: 'p_tuning',
      num_virtual_tokens: 20,
      encoder: 'lstm',
      encoder_hidden_size: 2048,
      encoder_num_layers: 4,
      encoder_dropout: 0,
      pooling: 'mean',
      base_precision: 'fp32',
    } as const;
    expect(savedShapes(config, bert)).toEqual([[20, 384]]);
    const prefix = { type: 'prefix_tuning', num_virtual_tokens: 20, prefix_projection: true } as const;
    const common = {
      encoder_hidden_size: 1024,
      dropout: 0,
      pooling: 'mean',
      base_precision: 'fp32',
    } as const;
    expect(savedShapes({ ...prefix, ...common }, bert)).toEqual([[20, 2 * 6 * 384]]);
  });
});

import { expect, it } from 'vitest';
import { requireStorable } from '../../../gpu-node/train/adapter-size.ts';

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
    'the adapter would have 163 MiB, at most 90 are stored: lower method.r, or name fewer target_modules',
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

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
  requireStorable(everyLayer(6, 384), toShrink);
  expect(() => requireStorable(everyLayer(12, 768), toShrink)).toThrow(
    'the adapter would have 163 MiB, at most 90 are stored: lower method.r, or name fewer target_modules',
  );
});

import { describe, expect, test } from 'vitest';
import {
  broadcast,
  product,
  quotient,
  sum,
  symbolsOf,
  termsOf,
  toAxis,
} from '../../../gpu-node/graph/shapes.ts';

describe('products of dims', () => {
  test('equal sizes have one spelling', () => {
    expect(product(['seq', 12, 'batch'])).toBe('12*batch*seq');
    expect(product(['4*seq', 'batch', 3])).toBe('12*batch*seq');
    expect(product([2, 3, 4])).toBe(24);
    expect(product([])).toBe(1);
    expect(product([0, 'batch'])).toBe(0);
  });

  test('division undoes multiplication, or says that it cannot', () => {
    expect(quotient('12*batch*seq', '4*seq')).toBe('3*batch');
    expect(quotient('batch', 'batch')).toBe(1);
    expect(quotient('batch', 'seq')).toBeUndefined();
    expect(quotient('3*batch', 2)).toBeUndefined();
  });

  test('symbols are found inside a product', () => {
    expect(symbolsOf('12*batch*seq')).toEqual(['batch', 'seq']);
    expect(symbolsOf(3)).toEqual([]);
  });
});

describe('sums of dims', () => {
  test('equal sizes have one spelling', () => {
    expect(sum([3, 'seq', 5])).toBe('(seq+8)');
    expect(sum(['(seq+3)', 'batch', 5])).toBe('(batch+seq+8)');
    expect(sum(['seq', 0])).toBe('seq');
    expect(sum([3, 4])).toBe(7);
  });

  test('are told from products, and are factors of them', () => {
    expect(termsOf('(4*batch*seq+8)')).toEqual(['4*batch*seq', 8]);
    expect(termsOf('(seq+8)*batch')).toBeUndefined();
    expect(product(['batch', '(seq+8)', 4])).toBe('4*(seq+8)*batch');
    expect(quotient('4*(seq+8)*batch', 'batch')).toBe('4*(seq+8)');
    expect(symbolsOf('4*(seq+8)')).toEqual(['(seq+8)']);
  });
});

describe('broadcasting', () => {
  test('repeats axes of size 1 and missing leading axes', () => {
    expect(broadcast(['batch', 1, 'seq'], [12, 1])).toEqual(['batch', 12, 'seq']);
    expect(broadcast([], [3])).toEqual([3]);
  });

  test('a symbol fits itself and 1 only', () => {
    expect(broadcast(['batch'], ['batch'])).toEqual(['batch']);
    expect(broadcast(['batch'], [1])).toEqual(['batch']);
    expect(broadcast(['batch'], ['seq'])).toBeUndefined();
    expect(broadcast(['batch'], [2])).toBeUndefined();
  });
});

test('an axis outside the tensor is refused', () => {
  expect(toAxis(-1, 3)).toBe(2);
  expect(() => toAxis(3, 3)).toThrow('axis 3 is outside a tensor of rank 3');
  expect(() => toAxis(-4, 3)).toThrow('axis -4 is outside a tensor of rank 3');
});

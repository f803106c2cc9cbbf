import { describe, expect, it } from 'vitest';
import { checkTrainable, checkValidation, countLabels } from '../../../../edge/adapters/training-data.ts';

const example = (label: string) => ({ text: 'x', label });

describe('checkTrainable', () => {
  it('takes two labels of two examples', () => {
    expect(() => checkTrainable({ a: 2, b: 2 }, 'training_file')).not.toThrow();
  });

  it('names the label that is alone and those that are scarce', () => {
    expect(() => checkTrainable({ a: 9 }, 'examples')).toThrow('examples: there is only the label "a"');
    const many = Object.fromEntries([...'bcdefgh'].map((label) => [label, 1]));
    expect(() => checkTrainable({ a: 2, ...many }, 'examples')).toThrow('"b", "c", "d", "e", "f" and 2 more');
  });

  it('takes labels that are together as long as 1,000 of 256 characters, and no longer', () => {
    const of = (fill: string) =>
      Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [String(i).padStart(256, fill), 2]));
    checkTrainable(of('x'), 'training_file');
    for (const fill of ['ä', '"', '\u0001']) {
      expect(() => checkTrainable(of(fill), 'training_file')).toThrow(
        'labels of more than 262000 bytes together',
      );
    }
  });

  it('takes at most 1,000 labels', () => {
    const labels = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`l${i}`, 2]));
    expect(() => checkTrainable(labels, 'training_file')).toThrow('1001 labels; at most 1000');
  });
});

describe('countLabels', () => {
  it('counts labels that are names of an object too', () => {
    const counts = countLabels(['__proto__', 'constructor', '__proto__'].map(example));
    expect(Object.entries(counts)).toEqual([
      ['__proto__', 2],
      ['constructor', 1],
    ]);
  });
});

describe('checkValidation', () => {
  it('names a label that training has not seen', () => {
    expect(() => checkValidation({ a: 2 }, { a: 1, toString: 1 })).toThrow(
      'no training example has the label "toString"',
    );
  });

  it('names the label that was meant where one looks like it', () => {
    expect(() => checkValidation({ 'caf\u00e9': 2 }, { 'caf\u00e9': 1, 'Cafe\u0301': 1 })).toThrow(
      'no training example has the label "Cafe\\u0301"; "Cafe\\u0301" looks like "café", but is written otherwise',
    );
  });
});

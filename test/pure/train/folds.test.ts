import { describe, expect, it } from 'vitest';
import { foldsByLabel } from '../../../gpu-node/data/dataset.ts';
import { Random } from '../../../gpu-node/random.ts';
import { foldsFor } from '../../../gpu-node/train/folds.ts';

const FACTS = { effort: 'auto', rows: 300, rarest: 40, validationGiven: false, wholeModel: false } as const;

describe('the number of descents', () => {
  it.each([
    ['few rows', {}, 1],
    ['few rows, thoroughly', { effort: 'thorough' }, 5],
    ['few rows, fast', { effort: 'fast' }, 1],
    ['many rows', { rows: 1500 }, 1],
    ['many rows, thoroughly', { rows: 1500, effort: 'thorough' }, 1],
    ['rows and others that validate, thoroughly', { validationGiven: true, effort: 'thorough' }, 1],
    ['every weight of the base model, thoroughly', { wholeModel: true, effort: 'thorough' }, 1],
    ['a label of two rows, thoroughly', { rarest: 2, effort: 'thorough' }, 2],
    ['a label of three rows, thoroughly', { rarest: 3, effort: 'thorough' }, 3],
    ['a label of one row, thoroughly', { rarest: 1, effort: 'thorough' }, 1],
  ] as const)('over %s', (_what, changes, count) => {
    expect(foldsFor({ ...FACTS, ...changes })).toBe(count);
  });
});

describe('parts of the rows', () => {
  const labels = Array.from({ length: 50 }, (_, row) => (row < 7 ? 'rare' : row % 2 ? 'odd' : 'even'));

  it('hold each row once, in order, and each label evenly', () => {
    const folds = foldsByLabel(labels, 3, new Random(1, 'split'));
    const parts = folds.map(({ validation }) => validation);
    for (const { training, validation } of folds) {
      const left = [...labels.keys()].filter((row) => !validation.includes(row));
      expect([...training]).toEqual(left);
    }
    expect(parts.flatMap((part) => [...part]).sort((a, b) => a - b)).toEqual([...labels.keys()]);
    for (const part of parts) {
      expect([...part]).toEqual([...part].sort((a, b) => a - b));
      for (const label of ['rare', 'odd', 'even']) {
        const all = labels.filter((each) => each === label).length;
        const here = [...part].filter((row) => labels[row] === label).length;
        expect(Math.abs(here - all / 3)).toBeLessThan(1);
      }
    }
  });

  it('come from the seed', () => {
    const split = (seed: number) => foldsByLabel(labels, 3, new Random(seed, 'split'));
    expect(split(1)).toEqual(split(1));
    expect(split(1)).not.toEqual(split(2));
  });
});

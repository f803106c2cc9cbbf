import { describe, expect, it } from 'vitest';
import { lengthsOf, repeatsOf, rowsWith } from '../../../console/figures/dataset.ts';

const row = (text: string, label: string) => ({ text, label });
const ROWS = [
  row('you won', 'spam'),
  row('see you', 'ham'),
  row('you won', 'ham'),
  row('see you', 'ham'),
  row('x', 'ham'),
];

describe('rows of a file', () => {
  it('repeat texts with one label, or contradict each other', () => {
    const { duplicates, contradictions } = repeatsOf(ROWS);
    expect(duplicates).toEqual([{ text: 'see you', rows: [1, 3], labels: ['ham'] }]);
    expect(contradictions).toEqual([{ text: 'you won', rows: [0, 2], labels: ['spam', 'ham'] }]);
  });

  it('fall into bins by their words, each row into one', () => {
    const words = (n: number) => row(Array.from({ length: n }, () => 'w').join(' \n'), 'a');
    const bins = lengthsOf([words(1), words(4), words(5), words(190), words(5000)]);
    expect(bins.filter(({ rows }) => rows > 0).map(({ from, rows }) => [from, rows])).toEqual([
      [0, 2],
      [5, 1],
      [190, 1],
      [380, 1],
    ]);
  });

  it('are found by label and text', () => {
    expect(rowsWith(ROWS, '', '')).toEqual([0, 1, 2, 3, 4]);
    expect(rowsWith(ROWS, 'ham', ' YOU ')).toEqual([1, 2, 3]);
    expect(rowsWith(ROWS, 'spam', 'see')).toEqual([]);
  });
});

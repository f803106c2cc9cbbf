import { describe, expect, it } from 'vitest';
import { printable, shortened } from '../../../cli/terminal/printable.ts';
import { bar, duration, ProgressDisplay, progressLine } from '../../../cli/terminal/progress.ts';
import { sparkline } from '../../../cli/terminal/sparkline.ts';
import { confusionMatrix, fields, metricsTables, type Paint, table } from '../../../cli/terminal/tables.ts';
import { computeMetrics } from '../../../shared/metrics.ts';

const PROGRESS = { step: 5, steps: 10, epoch: 1.5, loss: 0.25, tokens_per_second: 4321.6, eta_seconds: 75 };

/** A screen that remembers what is written to it. */
function screenOf(isTTY: boolean, columns = 200) {
  const screen = {
    isTTY,
    columns,
    text: '',
    write(text: string) {
      screen.text += text;
    },
  };
  return screen;
}

describe('a sparkline', () => {
  it('goes from the smallest value to the largest', () => {
    expect(sparkline([3, 2, 1, 0], 8)).toBe('█▆▃▁');
  });

  it('puts many values into its cells by their mean', () => {
    expect(sparkline([0, 0, 1, 1, 2, 2, 7, 7], 4)).toBe('▁▂▃█');
  });

  it('is flat where nothing changes, and empty without values', () => {
    expect([sparkline([1, 1], 8), sparkline([], 8), sparkline([Number.NaN], 8)]).toEqual(['▁▁', '', '']);
  });
});

describe('progress', () => {
  it('is a line with bar, rate and time left', () => {
    expect(progressLine('spam@1', PROGRESS)).toBe(
      `  spam@1 ${'█'.repeat(14)}${'░'.repeat(14)} step 5/10 · epoch 1.5 · loss 0.250 · 4322 tokens/s · 1 min 15 s left`,
    );
  });

  it('shows the curves of loss and F1 as far as they are known', () => {
    const line = progressLine('spam@1', PROGRESS, { loss: [1, 0.5, 0.25], f1: [0.5, 0.9] });
    expect(line).toContain('loss 0.250 █▃▁ · F1 0.900 ▁█');
  });

  it('is rewritten in place on a terminal, below lines that stay', () => {
    const screen = screenOf(true, 30);
    const display = new ProgressDisplay(screen);
    display.update('spam@1', PROGRESS);
    display.print('epoch 1');
    const shown = progressLine('spam@1', PROGRESS).slice(0, 29);
    expect(screen.text).toBe(`\r${shown}\x1b[K\r\x1b[Kepoch 1\n${shown}`);
  });

  it('is a line for every tenth in a log', () => {
    const screen = screenOf(false);
    const display = new ProgressDisplay(screen);
    for (let step = 0; step <= 100; step++) display.update('spam@1', { ...PROGRESS, step, steps: 100 });
    expect(screen.text.trimEnd().split('\n')).toHaveLength(11);
    expect(screen.text).not.toContain('\x1b');
  });

  it('never overfills its bar', () => {
    expect([bar(0, 0, 4), bar(9, 4, 4)]).toEqual(['░░░░', '████']);
  });

  it.each([
    [59.4, '59 s'],
    [61, '1 min 1 s'],
    [7260, '2 h 1 min'],
  ])('says that %f seconds are %s', (seconds, text) => expect(duration(seconds)).toBe(text));
});

describe('tables', () => {
  it('have numbers to the right and words to the left', () => {
    const rows = [
      ['label', 'rows', 'by'],
      ['ham', '5', 'you'],
      ['spam', '120', 'me'],
    ];
    expect(table(rows)).toBe('  label  rows  by\n  ham       5  you\n  spam    120  me');
  });

  it('cannot be broken, coloured or reversed by what stands in them', () => {
    expect(table([['a'], ['x\ny\x1b[31mz\u202e!']])).toBe('  a\n  x yz !');
    expect(printable('\x1b]0;title\x07bell\u0007')).toBe('bell ');
    expect(shortened('word '.repeat(9), 8)).toBe('word wo…');
  });

  it('leave out what has no value', () => {
    expect(
      fields([
        ['job', 'a'],
        ['error', null],
        ['status', 'ready'],
      ]),
    ).toBe('  job     a\n  status  ready');
  });

  const labels = ['ham', 'spam'];
  const metrics = computeMetrics(
    labels,
    [0, 0, 1],
    [
      [2, 1],
      [1, 2],
      [0, 3],
    ],
  );

  it('show metrics of each label, then the confusion matrix', () => {
    expect(
      metricsTables(labels, metrics)
        .split('\n')
        .map((line) => line.trim().split(/ {2,}/)),
    ).toEqual([
      ['label', 'precision', 'recall', 'F1', 'rows'],
      ['ham', '1.000', '0.500', '0.667', '2'],
      ['spam', '0.500', '1.000', '0.667', '1'],
      ['weighted', '0.833', '0.667', '0.667', '3'],
      [''],
      ['true \\ predicted', 'ham', 'spam'],
      ['ham', '1', '1'],
      ['spam', '0', '1'],
    ]);
  });

  it('colour what is right green, what is wrong by its share, and nothing dim', () => {
    const paint: Paint = (style, text) => `${style}:${text.trim()}`;
    const matrix = [
      [95, 5],
      [0, 10],
    ];
    expect(confusionMatrix(labels, matrix, paint).match(/\w+:\d+/g)).toEqual([
      'green:95',
      'yellow:5',
      'dim:0',
      'green:10',
    ]);
  });

  it('show the largest confusions where a matrix would be too wide', () => {
    const many = Array.from({ length: 40 }, (_, i) => `label ${i}`);
    const logits = many.map((_, i) => many.map((_, j) => (j === (i === 7 ? 3 : i) ? 5 : 0)));
    const shown = metricsTables(
      many,
      computeMetrics(
        many,
        many.map((_, i) => i),
        logits,
      ),
    );
    expect(shown).toMatch(/true +predicted +rows +of its rows\n +label 7 +label 3 +1 +100%$/);
    expect(shown).toContain('… 10 with a higher F1');
  });
});

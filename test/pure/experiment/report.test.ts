import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Options, parseOptions } from '../../../scripts/experiment/options.ts';
import { runsOf } from '../../../scripts/experiment/plan.ts';
import { chartSvg, roundTicks } from '../../../scripts/experiment/report/chart.ts';
import { markdownTable, meanCell } from '../../../scripts/experiment/report/markdown.ts';
import { writeReport } from '../../../scripts/experiment/report.ts';
import type { Run } from '../../../scripts/experiment/result.ts';
import type { Planned } from '../../../scripts/experiment/run-all.ts';
import { mean, standardError } from '../../../scripts/experiment/statistics.ts';
import { resultOf } from '../../support/experiment.ts';

describe('statistics', () => {
  it('give the mean and its standard error, of the sample', () => {
    expect(mean([1, 2, 3, 4])).toBe(2.5);
    expect(standardError([1, 2, 3, 4])).toBeCloseTo(Math.sqrt(5 / 3 / 4), 12);
  });

  it('give no error of one value', () => {
    expect(standardError([3])).toBeUndefined();
    expect(meanCell([3])).toBe('3.0');
    expect(meanCell([])).toBe('–');
  });
});

describe('a chart', () => {
  const chart = {
    title: 'loss <and> more',
    xLabel: 'epochs',
    yLabel: 'loss',
    panels: [
      {
        title: 'one',
        series: [
          {
            name: 'a & b',
            points: [
              { x: 0, y: 1 },
              { x: 1, y: 0, error: 0.5 },
            ],
          },
        ],
      },
      { title: 'empty', series: [{ name: 'none', points: [] }] },
    ],
  };

  it('labels its axes and panels, and escapes what it is given', () => {
    const svg = chartSvg(chart);
    for (const text of ['>epochs<', '>loss<', '>one<', 'a &amp; b', 'loss &lt;and&gt; more']) {
      expect(svg).toContain(text);
    }
    expect(svg).not.toContain('NaN');
  });

  it('follows the reader’s ground', () => {
    expect(chartSvg(chart)).toContain('prefers-color-scheme: dark');
  });

  it('leaves out a panel without points', () => {
    expect(chartSvg(chart)).not.toContain('>empty<');
  });

  it.each([
    [
      [0, 1],
      [0, 0.5, 1],
    ],
    [
      [61.2, 64.9],
      [61, 62, 63, 64, 65],
    ],
    [[7], [6, 8]],
  ])('marks the range of %j with round numbers that enclose it', (values, ticks) => {
    const marks = roundTicks(values);
    expect(marks[0]).toBeLessThanOrEqual(Math.min(...values));
    expect(marks.at(-1)).toBeGreaterThanOrEqual(Math.max(...values));
    expect(marks).toEqual(ticks);
  });
});

it('a table is aligned, its figures to the right', () => {
  expect(markdownTable(['row', 'F1'], [['a', '81.6']])).toBe(
    ['| row |   F1 |', '| --- | ---: |', '| a   | 81.6 |'].join('\n'),
  );
});

describe('the report', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-report-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const file = { path: '', rows: [{ text: 'a', label: 'b' }], sha256: '' };
  /** The report of a command whose runs have the given F1, or have not finished. */
  async function reportOf(args: readonly string[], f1Of: (run: Run) => number | undefined) {
    const options = parseOptions(['--data', 'FOLDER', ...args]) as Options;
    const plan = runsOf(options).map((run): Planned => {
      const f1 = f1Of(run);
      const result = f1 === undefined ? undefined : resultOf({ ...run, f1 });
      return { run, data: { training: file, test: file }, key: '', result };
    });
    const base = { id: 'tiny', folder: '', sha256: '', weightsFolder: '', parameters: 22_713_216 };
    const paths = await writeReport(folder, { options, plan, base, command: 'the command' });
    const text = await readFile(join(folder, `${options.mode}.md`), 'utf8');
    const line = (start: string) => text.split('\n').find((each) => each.startsWith(`| ${start}`))!;
    const cells = (start: string) =>
      line(start)
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim());
    return { files: paths.map((path) => basename(path)), text, cells };
  }

  const TWO_SETS = ['--only', 'ag_news,tweet_eval_irony', '--seeds', '2'];

  it('of accuracy has means over seeds and sets, beside the published rows', async () => {
    const f1 = ({ set, seed, engine }: Run) =>
      (engine === 'weft' ? 0.8 : 0.7) + (set === 'ag_news' ? 0.1 : 0) + seed / 100;
    const { files, text, cells } = await reportOf([...TWO_SETS, '--configs', 'auto,peft'], f1);
    expect(files).toEqual(['accuracy.md', 'accuracy-loss.svg']);
    expect(cells('Weft, everything "auto"').slice(1)).toEqual([
      '22.7 M',
      '50',
      '91.5 ± 0.5',
      '81.5 ± 0.5',
      '86.5 ± 0.5',
      '',
    ]);
    expect(cells('HF PEFT').at(-1)).toBe('−10.0 ± 0.0');
    expect(cells('published: BERT-base').slice(3, 5)).toEqual(['91.7', '66.7']);
    expect(text).toContain('the command');
  });

  it('says how many runs have not finished, and takes no mean of some of the sets', async () => {
    const f1 = ({ set }: Run) => (set === 'ag_news' ? 0.9 : undefined);
    const { text, cells } = await reportOf([...TWO_SETS, '--configs', 'auto'], f1);
    expect(text).toContain('2 runs have not finished');
    expect(cells('Weft, everything "auto"').slice(3, 6)).toEqual(['90.0 ± 0.0', '–', '–']);
  });

  it('of an ablation compares each value to the centre, seed by seed', async () => {
    const f1 = ({ configuration, seed }: Run) => 0.5 + seed / 10 + (configuration === 'lora r=64' ? 0.02 : 0);
    const { cells } = await reportOf(['ablation', '--factors', 'r', ...TWO_SETS], f1);
    expect(cells('64').slice(3, 5)).toEqual(['67.0 ± 5.0', '+2.0 ± 0.0']);
    expect(cells('**8**').slice(3, 5)).toEqual(['65.0 ± 5.0', '']);
  });

  it('of methods has a table for few examples and one for all, what each costs, and a picture', async () => {
    const f1 = ({ configuration, shots }: Run) =>
      (configuration === 'auto-ia3' ? 0.6 : 0.7) + (shots === null ? 0.1 : 0);
    const { files, text, cells } = await reportOf(
      ['methods', ...TWO_SETS, '--configs', 'auto-lora,auto-ia3'],
      f1,
    );
    expect(files).toEqual(['methods.md', 'methods.svg']);
    expect(text).toContain('## 16 examples of each label');
    expect(cells('Weft, ia3').slice(1)).toEqual(['60.0 ± 0.0', '60.0 ± 0.0', '60.0 ± 0.0', '−10.0 ± 0.0']);
    expect(text).toMatch(/\| Weft, ia3 +\| +50 \| +1024 \| +1\.0 \| +4\.00 \|/);
    expect(await readFile(join(folder, 'methods.svg'), 'utf8')).toMatch(/<circle.*>ia3</);
  });

  it('of few shots takes the stronger logistic regression at each point', async () => {
    const f1 = ({ configuration, shots }: Run) => {
      if (configuration === 'auto') return 0.6;
      return (configuration === 'logistic') === (shots === 8) ? 0.5 : 0.4;
    };
    const { files, cells } = await reportOf(['few-shot', '--only', 'ag_news', '--shots', '8,16,all'], f1);
    expect(files).toEqual(['few-shot.md', 'few-shot.svg']);
    expect(cells('logistic').slice(1)).toEqual(['50.0 ± 0.0', '50.0 ± 0.0', '50.0 ± 0.0']);
    expect(cells('difference').slice(1)).toEqual(['+10.0 ± 0.0', '+10.0 ± 0.0', '+10.0 ± 0.0']);
  });
});

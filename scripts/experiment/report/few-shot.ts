import type { Configuration } from '../configurations.ts';
import { mean, standardError } from '../statistics.ts';
import { type Chart, chartSvg, type Series } from './chart.ts';
import { differenceCell, markdownTable, meanCell } from './markdown.ts';
import type { Report, ReportInput } from './report.ts';
import { type BySeed, differences, type Results } from './results.ts';
import { shotsLabel, titleOf } from './titles.ts';

const CURVE_FILE = 'few-shot.svg';
type Shots = number | null;

/** A row of the curve: its F1 at each number of examples, one value per draw. */
interface Row {
  readonly title: string;
  f1(set: string, shots: Shots): BySeed;
}

/** The report of F1 by examples per label. Of several logistic regressions each point takes the strongest there, which favours them. */
export function fewShotReport({ results, options }: ReportInput): Report {
  const { configurations, shots } = options;
  const rows = [
    ...configurations.filter(({ engine }) => engine !== 'logistic').map(rowOf(results)),
    ...strongest(results, configurations),
  ];
  const chart: Chart = {
    title: 'Weighted F1 by examples of each label, mean and standard error of the draws',
    xLabel: 'examples of each label',
    yLabel: 'weighted F1, %',
    panels: results.sets.map((set) => ({
      title: titleOf(set),
      xTicks: shots.map((each, x) => ({ x, label: shotsLabel(each) })),
      series: rows.map((row) => curve(row, set, shots)),
    })),
  };
  const tables = results.sets.map((set) => setTable(set, rows, shots));
  const said =
    'Mean ± standard error of the draws, the same draws for every row; a smaller draw is part of the larger one of the same number. ' +
    'The difference is that of the first row to the last, with its standard error over the draws.';
  return {
    title: 'Few examples',
    sections: [`![${chart.title}](${CURVE_FILE})`, said, ...tables],
    files: { [CURVE_FILE]: chartSvg(chart) },
  };
}

function rowOf(results: Results): (configuration: Configuration) => Row {
  return ({ name, title }) => ({
    title,
    f1: (set, shots) => results.f1({ configuration: name, set, shots }),
  });
}

function strongest(results: Results, configurations: readonly Configuration[]): Row[] {
  const all = configurations.filter(({ engine }) => engine === 'logistic').map(rowOf(results));
  if (all.length === 0) return [];
  const title =
    all.length === 1
      ? all[0]!.title
      : 'logistic regression on mean embeddings (as they are or of length 1, the stronger)';
  const strength = (values: BySeed) =>
    values.size > 0 ? mean([...values.values()]) : Number.NEGATIVE_INFINITY;
  const f1 = (set: string, shots: Shots) =>
    all.map((row) => row.f1(set, shots)).reduce((a, b) => (strength(b) > strength(a) ? b : a));
  return [{ title, f1 }];
}

function curve({ title, f1 }: Row, set: string, shots: readonly Shots[]): Series {
  const points = shots.flatMap((each, x) => {
    const values = [...f1(set, each).values()];
    const error = standardError(values);
    return values.length > 0 ? [{ x, y: mean(values), ...(error !== undefined && { error }) }] : [];
  });
  return { name: title, points };
}

function setTable(set: string, rows: readonly Row[], shots: readonly Shots[]): string {
  const head = [titleOf(set), ...shots.map(shotsLabel)];
  const table = rows.map((row) => [row.title, ...shots.map((each) => meanCell(row.f1(set, each).values()))]);
  const [first, last] = [rows[0], rows.at(-1)];
  if (first && last && rows.length > 1) {
    const by = (each: Shots) => differenceCell(differences(first.f1(set, each), last.f1(set, each)));
    table.push(['difference', ...shots.map(by)]);
  }
  return `## ${titleOf(set)}\n\n${markdownTable(head, table)}`;
}

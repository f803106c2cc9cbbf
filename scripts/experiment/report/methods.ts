import type { Configuration } from '../configurations.ts';
import type { Measured } from '../result.ts';
import { mean, standardError } from '../statistics.ts';
import { type Chart, chartSvg, type Panel } from './chart.ts';
import { countCell, differenceCell, markdownTable, meanCell } from './markdown.ts';
import type { Report, ReportInput } from './report.ts';
import { differences, type Results } from './results.ts';
import { shotsLabel, titleOf } from './titles.ts';

const CHART_FILE = 'methods.svg';
type Shots = number | null;

/** The report that compares methods: F1 on every set, and each method's trained parameters, stored bytes, time and memory. */
export function methodsReport({ results, options }: ReportInput): Report {
  const { configurations, shots } = options;
  const chart: Chart = {
    title: 'Mean weighted F1 of the sets against the size of the file and the cost of serving',
    xLabel: 'KiB of the file (powers of 2), ms a text',
    yLabel: 'weighted F1, %',
    panels: shots.flatMap((each) => [
      panel(results, configurations, each, 'size', ({ adapter_bytes }) =>
        adapter_bytes === undefined ? undefined : Math.log2(adapter_bytes / 1024),
      ),
      panel(results, configurations, each, 'cost of serving', (measured) => measured.serving_milliseconds),
    ]),
  };
  return {
    title: 'Methods',
    sections: [
      `![${chart.title}](${CHART_FILE})`,
      ...shots.map((each) => f1Table(results, configurations, each)),
      costTable(results, configurations),
    ],
    files: { [CHART_FILE]: chartSvg(chart) },
  };
}

function f1Table(results: Results, configurations: readonly Configuration[], shots: Shots): string {
  const title = shots === null ? 'All examples' : `${shotsLabel(shots)} examples of each label`;
  const first = configurations[0]!;
  const head = ['weighted F1', ...results.sets.map(titleOf), 'mean', `to ${first.title}`];
  const rows = configurations.map((configuration) => {
    const own = results.meanF1(configuration.name, shots);
    const others = results.meanF1(first.name, shots);
    return [
      configuration.title,
      ...results.sets.map((set) =>
        meanCell(results.f1({ configuration: configuration.name, set, shots }).values()),
      ),
      meanCell(own.values()),
      configuration === first ? '' : differenceCell(differences(own, others)),
    ];
  });
  const said =
    'Percent, mean ± standard error over the seeds; the last column compares the means of the sets seed by seed.';
  return `## ${title}\n\n${said}\n\n${markdownTable(head, rows)}`;
}

/** The costs of each method when trained on all examples. */
function costTable(results: Results, configurations: readonly Configuration[]): string {
  const head = ['', 'numbers stored', 'KiB', 'minutes a training', 'ms a text', 'learning rate'];
  const rows = configurations.map(({ name, title }) => {
    const measured = results.of({ configuration: name }).map((each) => each.measured);
    const meanOf = (of: (each: Measured) => number | undefined, digits: number) => {
      const values = measured.flatMap((each) => of(each) ?? []);
      return values.length > 0 ? mean(values).toFixed(digits) : '–';
    };
    const [first] = measured;
    const settings = first?.resolved.hyperparameters as { learning_rate?: number } | undefined;
    return [
      title,
      first ? countCell(Math.min(...measured.map((each) => each.trainable_parameters))) : '–',
      meanOf((each) => each.adapter_bytes && each.adapter_bytes / 1024, 0),
      meanOf((each) => each.training_seconds / 60, 1),
      meanOf((each) => each.serving_milliseconds, 2),
      String(settings?.learning_rate ?? '–'),
    ];
  });
  const said =
    'Means over all runs. Numbers stored are those of the file, its head included, on the set of the fewest labels; a text alone is answered by an adapter in its slot, tokenizing ' +
    'included; training is wall time, of few examples and of all alike.';
  return `## What each costs\n\n${said}\n\n${markdownTable(head, rows)}`;
}

function panel(
  results: Results,
  configurations: readonly Configuration[],
  shots: Shots,
  title: string,
  xOf: (measured: Measured) => number | undefined,
): Panel {
  const series = configurations.map((configuration) => {
    const { name } = configuration;
    const f1 = [...results.meanF1(name, shots).values()];
    const xs = results.of({ configuration: name, shots }).flatMap(({ measured }) => xOf(measured) ?? []);
    const error = standardError(f1);
    const points =
      f1.length > 0 && xs.length > 0
        ? [{ x: mean(xs), y: mean(f1), ...(error !== undefined && { error }) }]
        : [];
    return { name: name.replace(/^auto-/, ''), dots: true, points };
  });
  return { title: `${shotsLabel(shots)} examples, ${title}`, series };
}

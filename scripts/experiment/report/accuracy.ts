import type { Configuration } from '../configurations.ts';
import type { Result } from '../result.ts';
import { PUBLISHED, SETS } from '../sets.ts';
import { mean, standardError } from '../statistics.ts';
import { type Chart, chartSvg } from './chart.ts';
import { lossPanel } from './loss-curves.ts';
import { countCell, differenceCell, markdownTable, meanCell } from './markdown.ts';
import type { Report, ReportInput } from './report.ts';
import { differences, type Results } from './results.ts';
import { titleOf } from './titles.ts';

const LOSS_FILE = 'accuracy-loss.svg';

/** The report of every configuration on every set, beside the published rows. */
export function accuracyReport({ results, options, base }: ReportInput): Report {
  const { configurations } = options;
  const trained = configurations.filter(({ engine }) => engine !== 'logistic');
  const chart: Chart = {
    title: 'Loss: of training (solid), of the rows that choose the epoch (dashed)',
    xLabel: 'epochs',
    yLabel: 'cross entropy',
    panels: results.sets.map((set) => ({
      title: titleOf(set),
      series: trained.flatMap(({ name, title }) =>
        lossPanel(title, results.of({ configuration: name, set })),
      ),
    })),
  };
  return {
    title: 'The published experiment',
    sections: [
      f1Table(results, configurations, base.parameters),
      againstBest(results, configurations),
      calibrationTable(results, configurations),
      costTable(results, trained),
      settingsTable(results, configurations),
      `## Loss\n\n![${chart.title}](${LOSS_FILE})`,
    ],
    files: { [LOSS_FILE]: chartSvg(chart) },
  };
}

function f1Table(results: Results, configurations: readonly Configuration[], parameters: number): string {
  const head = ['weighted F1', 'parameters', 'trained', ...results.sets.map(titleOf), 'mean', 'to the first'];
  const first = configurations[0]!.name;
  const rows = configurations.map(({ name, title }) => [
    title,
    countCell(parameters),
    trainedCell(results.of({ configuration: name })),
    ...results.sets.map((set) => meanCell(results.f1({ configuration: name, set }).values())),
    meanCell(results.meanF1(name).values()),
    name === first ? '' : differenceCell(differences(results.meanF1(name), results.meanF1(first))),
  ]);
  const published = PUBLISHED.map((row) => [
    `published: ${row.title}`,
    row.parameters,
    '–',
    ...results.sets.map((set) => publishedF1(row.f1, set).toFixed(1)),
    results.sets.length === SETS.length ? row.mean.toFixed(1) : '–',
    '',
  ]);
  const said =
    'Weighted F1 in percent, mean ± standard error over the seeds; the last column compares the means of the sets seed by seed.';
  return `## Weighted F1\n\n${said}\n\n${markdownTable(head, [...rows, ...published])}`;
}

function publishedF1(f1: readonly number[], set: string): number {
  return f1[SETS.findIndex(({ name }) => name === set)]!;
}

/** The number of trained parameters, which depends a little on the set: a head has one row per label. */
function trainedCell(results: readonly Result[]): string {
  const counts = results.map(({ measured }) => measured.trainable_parameters);
  if (counts.length === 0) return '–';
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? countCell(least) : `${countCell(least)}–${countCell(most)}`;
}

/** Compares Weft's first row with the best row of the others. */
function againstBest(results: Results, configurations: readonly Configuration[]): string {
  const ours = configurations.find(({ engine }) => engine === 'weft');
  const peers = configurations.filter(({ engine }) => engine !== 'weft');
  if (!ours || peers.length === 0) return '';
  const rows = results.sets.flatMap((set) => {
    const own = [...results.f1({ configuration: ours.name, set }).values()];
    const measured = peers.map(({ name, title }) => {
      return { title, f1: [...results.f1({ configuration: name, set }).values()] };
    });
    const best = measured.filter(({ f1 }) => f1.length > 0).sort((a, b) => mean(b.f1) - mean(a.f1))[0];
    if (own.length === 0 || !best) return [];
    const tested = results.of({ configuration: ours.name, set })[0]!.measured.metrics.examples;
    return [
      [
        titleOf(set),
        meanCell(own),
        meanCell(best.f1),
        best.title,
        differenceCell([mean(own) - mean(best.f1)]),
        (standardError(own) ?? 0).toFixed(1),
        samplingError(mean(own), tested).toFixed(1),
      ],
    ];
  });
  const head = [
    '',
    ours.title,
    'best peer',
    'which',
    'difference',
    'error over seeds',
    'error of so few rows',
  ];
  const said =
    'The standard error over the seeds says how much training varies; that of the rows, the square root of p (1 − p) / n, how much ' +
    'any figure on so few rows would vary on others.';
  return `## Against the best peer\n\n${said}\n\n${markdownTable(head, rows)}`;
}

function samplingError(percent: number, rows: number): number {
  return Math.sqrt((percent * (100 - percent)) / rows);
}

function calibrationTable(results: Results, configurations: readonly Configuration[]): string {
  const head = ['expected calibration error, %', ...results.sets.map(titleOf)];
  const rows = configurations.map(({ name, title }) => [
    title,
    ...results.sets.map((set) =>
      meanCell(results.of({ configuration: name, set }).map(({ measured }) => 100 * measured.metrics.ece)),
    ),
  ]);
  return `## Calibration\n\nOf the scores as they are served, on the tested rows.\n\n${markdownTable(head, rows)}`;
}

function costTable(results: Results, configurations: readonly Configuration[]): string {
  const head = ['minutes a run; most memory', ...results.sets.map(titleOf), 'real tokens/s'];
  const rows = configurations.map(({ name, title }) => [
    title,
    ...results.sets.map((set) => costCell(results.of({ configuration: name, set }))),
    rateCell(results.of({ configuration: name })),
  ]);
  const said =
    'Wall time of a training process from its start to its end, validation included, and the most memory that it had resident, mean over ' +
    'the seeds. Tokens are counted without padding, over the time of the epochs and their validation.';
  return `## Time and memory\n\n${said}\n\n${markdownTable(head, rows)}`;
}

function costCell(results: readonly Result[]): string {
  if (results.length === 0) return '–';
  const minutes = mean(results.map(({ measured }) => measured.training_seconds / 60));
  const peaks = results.flatMap(({ measured }) => measured.peak_bytes ?? []);
  const memory = peaks.length > 0 ? `; ${Math.round(mean(peaks) / 2 ** 20)} MiB` : '';
  return `${minutes.toFixed(1)}${memory}`;
}

function rateCell(results: readonly Result[]): string {
  const rates = results.flatMap(({ measured }) => measured.tokens_per_second ?? []);
  return rates.length > 0 ? Math.round(mean(rates)).toLocaleString('en') : '–';
}

/** The settings that each configuration was trained with, as the training process resolved them for the first seed. */
function settingsTable(results: Results, configurations: readonly Configuration[]): string {
  const ofWeft = configurations.filter(({ engine }) => engine === 'weft');
  const parts = ofWeft.map(({ name, title }) => {
    const rows = results.sets.flatMap((set) => {
      const [first] = results.of({ configuration: name, set });
      if (!first) return [];
      const { method, hyperparameters } = first.measured.resolved as Record<string, Record<string, unknown>>;
      return [[titleOf(set), shownFields({ ...method, ...hyperparameters })]];
    });
    return `${title}:\n\n${rows.map(([set, fields]) => `- ${set}: ${fields}`).join('\n')}`;
  });
  return `## Settings\n\nWhat the training process resolved, seed 1.\n\n${parts.join('\n\n')}`;
}

function shownFields(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
}

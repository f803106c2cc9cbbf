import { type Configuration, shownValue } from '../configurations.ts';
import { type Variation, variationsOf } from '../plan.ts';
import { mean } from '../statistics.ts';
import { differenceCell, markdownTable, meanCell } from './markdown.ts';
import type { Report, ReportInput } from './report.ts';
import { differences, type Results } from './results.ts';
import { titleOf } from './titles.ts';

/** One table per factor, around each centre. */
export function ablationReport({ results, options }: ReportInput): Report {
  const sections = options.configurations.flatMap((centre) => {
    const variations = variationsOf(centre, options.factors);
    const byFactor = [...Map.groupBy(variations, ({ factor }) => factor)];
    return byFactor.map(([factor, rows]) => factorTable(factor, rows, { centre, results }));
  });
  return { title: 'One setting at a time', sections, files: {} };
}

function factorTable(
  factor: string,
  variations: readonly Variation[],
  { centre, results }: { centre: Configuration; results: Results },
): string {
  const ofCentre = results.meanF1(centre.name);
  const rows = variations.map(({ value, isCentre, configuration: { name } }) => {
    const all = results.meanF1(name);
    return [
      isCentre ? `**${shownValue(value)}**` : shownValue(value),
      ...results.sets.map((set) => meanCell(results.f1({ configuration: name, set }).values())),
      meanCell(all.values()),
      isCentre ? '' : differenceCell(differences(all, ofCentre)),
      minutesCell(results, name),
    ];
  });
  const head = [factor, ...results.sets.map(titleOf), 'mean', 'to the centre', 'minutes a run'];
  return `## ${factor}, around "${centre.title}"\n\n${markdownTable(head, rows)}`;
}

function minutesCell(results: Results, configuration: string): string {
  const minutes = results.of({ configuration }).map(({ measured }) => measured.training_seconds / 60);
  return minutes.length > 0 ? mean(minutes).toFixed(1) : '–';
}

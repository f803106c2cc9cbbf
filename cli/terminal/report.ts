import type { DatasetReport } from '../../shared/api/dataset-report.ts';
import { shortened } from './printable.ts';
import { bar } from './progress.ts';
import { table } from './tables.ts';

const BAR_CELLS = 20;
/** Labels, examples and lines that are shown; the JSON has more. */
const MAX_LABELS = 30;
const MAX_EXAMPLES = 3;
const MAX_LINES = 5;

interface RowsAt {
  rows: number;
  lines: readonly number[];
}

/** Labels with their numbers of rows as bars, the most frequent first. */
export function labelBars(labels: Readonly<Record<string, number>>): string {
  const counts = Object.entries(labels).toSorted(([, a], [, b]) => b - a);
  const most = counts[0]?.[1] ?? 0;
  const rows = counts
    .slice(0, MAX_LABELS)
    .map(([label, count]) => [shortened(label, 40), String(count), bar(count, most, BAR_CELLS)]);
  const left = counts.length - rows.length;
  return table([['label', 'rows', ''], ...rows, ...(left > 0 ? [[`… ${left} more`, '', '']] : [])]);
}

/** What a report finds odd, a line each; none where nothing is. */
export function oddities(report: DatasetReport): string[] {
  const { duplicates, contradictions, near_twin_labels, too_long, lengths, leaks } = report;
  const { unusually_short: short, unusually_long: long } = lengths;
  return [
    ...found(duplicates, 'repeat an earlier row'),
    ...found(too_long, `are longer than ${too_long.tokens} tokens, and are cut`),
    ...found(short, `are unusually short, below ${short.below} characters`),
    ...found(long, `are unusually long, above ${long.above} characters`),
    ...(leaks ? found(leaks, `of ${leaks.validation_file} are also trained on`) : []),
    ...(contradictions.texts === 0
      ? []
      : [`${counted(contradictions.texts, 'text')} with several labels, in ${contradictions.rows} rows`]),
    ...contradictions.examples.slice(0, MAX_EXAMPLES).map(({ text, labels }) => {
      const said = labels.map(({ label, line }) => `${label} (line ${line})`).join(', ');
      return `  "${shortened(text, 50)}": ${said}`;
    }),
    ...near_twin_labels.map((group) => {
      const said = group.map(({ label, rows }) => `${label} (${counted(rows, 'row')})`).join(', ');
      return `labels that look alike: ${said}`;
    }),
    ...(report.is_complete ? [] : ['so many different texts that the last were not compared']),
  ];
}

function found({ rows, lines }: RowsAt, what: string): string[] {
  if (rows === 0) return [];
  const shown = lines.slice(0, MAX_LINES).join(', ');
  const more = rows > Math.min(lines.length, MAX_LINES) ? ', …' : '';
  return [`${counted(rows, 'row')} ${what}: line${rows === 1 ? '' : 's'} ${shown}${more}`];
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

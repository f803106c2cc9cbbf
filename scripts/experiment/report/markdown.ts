import { mean, standardError } from '../statistics.ts';

/** A Markdown table with aligned columns: the first to the left, the others to the right. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(3, ...all.map((row) => (row[column] ?? '').length)));
  const line = (cells: readonly string[]) => {
    const padded = widths.map((width, i) => {
      const cell = cells[i] ?? '';
      return i === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${padded.join(' | ')} |`;
  };
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
}

/** Mean and standard error, `81.6 ± 0.4`; a single value has no error, and no values give a dash. */
export function meanCell(given: Iterable<number>): string {
  const values = [...given];
  if (values.length === 0) return '–';
  const error = standardError(values);
  return `${mean(values).toFixed(1)}${error === undefined ? '' : ` ± ${error.toFixed(1)}`}`;
}

/** Mean difference and standard error, `+0.8 ± 0.3`. */
export function differenceCell(values: readonly number[]): string {
  if (values.length === 0) return '–';
  const center = mean(values);
  const error = standardError(values);
  return `${center < 0 ? '−' : '+'}${Math.abs(center).toFixed(1)}${error === undefined ? '' : ` ± ${error.toFixed(1)}`}`;
}

/** A count in short form: `22.7 M`, `73,728`. */
export function countCell(value: number): string {
  return value >= 1e6 ? `${(value / 1e6).toFixed(1)} M` : value.toLocaleString('en');
}

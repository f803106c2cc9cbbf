import type { Progress } from '../../shared/api/jobs.ts';
import type { ValidationMetrics } from '../../shared/metrics.ts';

const BAR_CELLS = 28;

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** One line: bar, step, epoch, loss, rate and time left. */
export function progressLine(name: string, progress: Progress): string {
  const { step, steps, epoch, loss, tokens_per_second, eta_seconds } = progress;
  const full = steps === 0 ? 0 : Math.round((BAR_CELLS * step) / steps);
  const bar = '█'.repeat(full) + '░'.repeat(BAR_CELLS - full);
  const parts = [
    `step ${step}/${steps}`,
    `epoch ${epoch.toFixed(1)}`,
    loss === null ? '' : `loss ${loss.toFixed(3)}`,
    `${Math.round(tokens_per_second)} tokens/s`,
    eta_seconds === null ? '' : `${duration(eta_seconds)} left`,
  ];
  return `  ${name} ${bar} ${parts.filter(Boolean).join(' · ')}`;
}

/** Prints a line, even while a progress bar is shown. */
export function printLine(line: string): void {
  console.log(process.stdout.isTTY ? `\r\x1b[K${line}` : line);
}

/**
 * Shows a job's progress: on a terminal as one line rewritten in place, elsewhere (a log, CI) as a line for every tenth, so that the log
 * stays readable.
 */
export class ProgressDisplay {
  #lastTenth = -1;

  update(name: string, progress: Progress): void {
    const line = progressLine(name, progress);
    if (process.stdout.isTTY) {
      process.stdout.write(`\r${line.slice(0, process.stdout.columns - 1)}\x1b[K`);
      return;
    }
    const tenth = progress.steps === 0 ? 0 : Math.floor((10 * progress.step) / progress.steps);
    if (tenth === this.#lastTenth) return;
    this.#lastTenth = tenth;
    console.log(line);
  }

  end(): void {
    if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
    this.#lastTenth = -1;
  }
}

/** Rows of cells as an aligned table; the first column to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
    )
    .map((line) => `  ${line}`)
    .join('\n');
}

/** Precision, recall and F1 per label, then the confusion matrix (rows: true label). */
export function metricsTables(labels: readonly string[], metrics: ValidationMetrics): string {
  const figure = (value: number) => value.toFixed(3);
  const perLabel = labels.map((label) => {
    const { precision, recall, f1, support } = metrics.per_label[label]!;
    return [label, figure(precision), figure(recall), figure(f1), String(support)];
  });
  const weighted = [
    'weighted',
    figure(metrics.precision),
    figure(metrics.recall),
    figure(metrics.f1),
    String(metrics.examples),
  ];
  const confusion = metrics.confusion_matrix.map((row, i) => [labels[i]!, ...row.map(String)]);
  return [
    table([['label', 'precision', 'recall', 'F1', 'rows'], ...perLabel, weighted]),
    table([['true \\ predicted', ...labels], ...confusion]),
  ].join('\n\n');
}

import type { Progress } from '../../shared/api/jobs.ts';
import { sparkline } from './sparkline.ts';

const BAR_CELLS = 28;
/** Values that a curve keeps. Later ones thin out the earlier, so a long training stays on one line. */
const CURVE_CELLS = 12;

/** What a display needs of a terminal, or of a log. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 2 * 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} days`;
}

/** A bar of `cells` characters that is full at `part` = `whole`. */
export function bar(part: number, whole: number, cells = BAR_CELLS): string {
  const full = whole === 0 ? 0 : Math.round((cells * Math.min(part, whole)) / whole);
  return '█'.repeat(full) + '░'.repeat(cells - full);
}

/** Losses and scores of a training so far, as far as they were seen. */
export interface Curves {
  loss: readonly number[];
  f1: readonly number[];
}

/** One line: bar, step, epoch, loss, rate and time left, with curves of loss and F1 where there are any. */
export function progressLine(name: string, progress: Progress, curves?: Curves): string {
  const { step, steps, epoch, loss, tokens_per_second, eta_seconds } = progress;
  const curve = (values: readonly number[] = []) =>
    values.length < 2 ? '' : ` ${sparkline(values, CURVE_CELLS)}`;
  const f1 = curves?.f1.at(-1);
  const parts = [
    `step ${step}/${steps}`,
    `epoch ${epoch.toFixed(1)}`,
    loss === null ? '' : `loss ${loss.toFixed(3)}${curve(curves?.loss)}`,
    f1 === undefined ? '' : `F1 ${f1.toFixed(3)}${curve(curves?.f1)}`,
    `${Math.round(tokens_per_second)} tokens/s`,
    eta_seconds === null ? '' : `${duration(eta_seconds)} left`,
  ];
  return `  ${name} ${bar(step, steps)} ${parts.filter(Boolean).join(' · ')}`;
}

/**
 * Shows a job's progress: on a terminal as one line rewritten in place, elsewhere (a log, CI) as a line for every tenth, so that the log
 * stays readable.
 */
export class ProgressDisplay {
  readonly #screen: Screen;
  #lastTenth = -1;
  #shown = '';

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  update(name: string, progress: Progress, curves?: Curves): void {
    const line = progressLine(name, progress, curves);
    if (this.#screen.isTTY) {
      this.#shown = line.slice(0, (this.#screen.columns ?? 80) - 1);
      this.#screen.write(`\r${this.#shown}\x1b[K`);
      return;
    }
    const tenth = progress.steps === 0 ? 0 : Math.floor((10 * progress.step) / progress.steps);
    if (tenth === this.#lastTenth) return;
    this.#lastTenth = tenth;
    this.#screen.write(`${line}\n`);
  }

  /** Prints a line that stays, above the one that is rewritten. */
  print(line: string): void {
    this.#screen.write(this.#screen.isTTY ? `\r\x1b[K${line}\n${this.#shown}` : `${line}\n`);
  }

  end(): void {
    if (this.#screen.isTTY) this.#screen.write('\r\x1b[K');
    this.#lastTenth = -1;
    this.#shown = '';
  }
}

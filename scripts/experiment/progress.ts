import { bar, duration } from '../../cli/terminal/progress.ts';
import type { Progress } from '../../shared/api/jobs.ts';

const BAR_CELLS = 20;
/** Milliseconds between reports of a long run, where output is no terminal. */
const LINE_INTERVAL_MS = 60_000;

/** One line: task and seed, bar, epoch, loss, rate and time left. */
export function progressLine(name: string, progress: Progress): string {
  const { step, steps, epoch, loss, tokens_per_second, eta_seconds } = progress;
  const parts = [
    `epoch ${epoch.toFixed(1)}`,
    loss === null ? '' : `loss ${loss.toFixed(3)}`,
    `${Math.round(tokens_per_second)} tokens/s`,
    eta_seconds === null ? '' : `${duration(eta_seconds)} left`,
  ];
  return `${bar(step, steps, BAR_CELLS)} ${name} · ${parts.filter(Boolean).join(' · ')}`;
}

/**
 * Estimates the time of the runs that are left from those that this process has finished. A run's work is the text that it reads; each
 * configuration gets its own rate once it has finished a run.
 */
export class TimeLeft {
  readonly #done = new Map<string, { work: number; seconds: number }>();

  finished(configuration: string, work: number, seconds: number): void {
    const sum = this.#done.get(configuration) ?? { work: 0, seconds: 0 };
    this.#done.set(configuration, { work: sum.work + work, seconds: sum.seconds + seconds });
  }

  /** Seconds for all runs one after another; undefined before any has finished. */
  estimate(left: readonly { readonly configuration: string; readonly work: number }[]): number | undefined {
    const sums = [...this.#done.values()];
    if (sums.length === 0) return undefined;
    const all = sums.reduce((a, b) => ({ work: a.work + b.work, seconds: a.seconds + b.seconds }));
    return left.reduce((total, { configuration, work }) => {
      const { work: known, seconds } = this.#done.get(configuration) ?? all;
      return total + (work * seconds) / known;
    }, 0);
  }
}

export interface Screen {
  readonly isTTY: boolean;
  readonly columns: number;
  write(text: string): void;
}

/**
 * Shows the runs under way. On a terminal each has a line, rewritten in place under the finished ones. Elsewhere only finished lines and,
 * now and then, the state of a long run are printed, so that a log stays readable.
 */
export class ProgressDisplay {
  readonly #screen: Screen;
  readonly #now: () => number;
  readonly #lines = new Map<string, string>();
  #drawn = 0;
  #said: number;

  constructor(screen: Screen, now: () => number = () => performance.now()) {
    this.#screen = screen;
    this.#now = now;
    this.#said = now();
  }

  update(name: string, progress: Progress): void {
    const line = progressLine(name, progress);
    this.#lines.set(name, line);
    if (this.#screen.isTTY) this.#redraw();
    else if (this.#now() - this.#said >= LINE_INTERVAL_MS) this.print(line);
  }

  /** Removes the line of a run. */
  end(name: string): void {
    this.#lines.delete(name);
    if (this.#screen.isTTY) this.#redraw();
  }

  /** Prints a line that stays. */
  print(line: string): void {
    this.#said = this.#now();
    this.#clear();
    this.#screen.write(`${line}\n`);
    if (this.#screen.isTTY) this.#redraw();
  }

  #redraw(): void {
    this.#clear();
    for (const line of this.#lines.values()) {
      this.#screen.write(`${line.slice(0, this.#screen.columns - 1)}\n`);
    }
    this.#drawn = this.#lines.size;
  }

  #clear(): void {
    if (this.#drawn > 0) this.#screen.write(`\x1b[${this.#drawn}A\x1b[J`);
    this.#drawn = 0;
  }
}

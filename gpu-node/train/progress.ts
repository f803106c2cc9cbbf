import type { Progress } from '../../shared/api/jobs.ts';

/** Counts of a meter; `seconds` is how long it has run. */
export interface MeterState {
  readonly step: number;
  readonly stepsRun: number;
  readonly tokens: number;
  readonly seconds: number;
}

/** Progress of training, from its steps. `now()` gives milliseconds. */
export class ProgressMeter {
  readonly #steps: number;
  readonly #epochs: number;
  readonly #now: () => number;
  #started: number;
  #step = 0;
  #stepsRun = 0;
  #tokens = 0;

  constructor(steps: number, epochs: number, now: () => number = () => performance.now()) {
    this.#steps = steps;
    this.#epochs = epochs;
    this.#now = now;
    this.#started = now();
  }

  get steps(): number {
    return this.#steps;
  }

  /** Number of the last step. */
  get step(): number {
    return this.#step;
  }

  /** Number of steps run, including those that training went back behind. */
  get stepsRun(): number {
    return this.#stepsRun;
  }

  /** Number of tokens trained on, without padding. */
  get tokens(): number {
    return this.#tokens;
  }

  get state(): MeterState {
    return {
      step: this.#step,
      stepsRun: this.#stepsRun,
      tokens: this.#tokens,
      seconds: this.#seconds(),
    };
  }

  /** Continues from another meter's counts; the time in between does not count. */
  restore({ step, stepsRun, tokens, seconds }: MeterState): void {
    this.#step = step;
    this.#stepsRun = stepsRun;
    this.#tokens = tokens;
    this.#started = this.#now() - 1000 * seconds;
  }

  /** Goes back to an earlier step, or on to a later one; what was run still counts for the rate. */
  moveTo(step: number): void {
    this.#step = step;
  }

  /** Counts a step over `tokens` tokens with this loss. */
  advance(tokens: number, loss: number): Progress {
    this.#step += 1;
    this.#stepsRun += 1;
    this.#tokens += tokens;
    const seconds = Math.max(1e-3, this.#seconds());
    const left = this.#steps - this.#step;
    return {
      step: this.#step,
      steps: this.#steps,
      epoch: (this.#epochs * this.#step) / this.#steps,
      loss,
      tokens_per_second: this.#tokens / seconds,
      eta_seconds: (seconds / this.#stepsRun) * left,
    };
  }

  #seconds(): number {
    return (this.#now() - this.#started) / 1000;
  }
}

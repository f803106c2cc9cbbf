/** Steps of the running mean, and the examples that they hold at least: a single example may well have a loss of 20. */
const MEAN_STEPS = 16;
const MEAN_EXAMPLES = 256;
/**
 * Multiple of the loss of guessing that counts as divergence. Runs that learn stay far below it, and runs that diverge soon exceed it
 * (docs/experiments.md, How the defaults were chosen).
 */
const EXPLODED = 2;

/** The error of a training that diverged; its message gives the numbers. */
export class Divergence extends Error {
  override name = 'Divergence';
  /** The running mean of the loss; null if it is no number. */
  readonly loss: number | null;

  constructor(message: string, loss: number | null) {
    super(message);
    this.loss = loss;
  }
}

/** State of a watch: the number of steps, and their decaying sum. */
export interface LossWatchState {
  readonly steps: number;
  readonly sum: number;
}

/**
 * Watches a classifier's loss. Cross entropy has a fixed yardstick: giving every label the same probability has a loss of ln(labels),
 * whatever the data and the weights of the labels. A single batch may well exceed it. A mean of twice that over many steps means a
 * classifier that is surely wrong, which healthy training never passes through.
 */
export class LossWatch {
  readonly #guessing: number;
  readonly #meanSteps: number;
  #steps = 0;
  #sum = 0;

  constructor(labels: number, batchSize: number) {
    this.#guessing = Math.log(labels);
    this.#meanSteps = Math.max(MEAN_STEPS, MEAN_EXAMPLES / batchSize);
  }

  get state(): LossWatchState {
    return { steps: this.#steps, sum: this.#sum };
  }

  /** Continues from another watch's state. */
  restore({ steps, sum }: LossWatchState): void {
    this.#steps = steps;
    this.#sum = sum;
  }

  /** Takes a step's loss and the norm of its gradients. @throws {Divergence} */
  step(loss: number, norm: number): void {
    requireFinite(loss, 'the loss');
    requireFinite(norm, "the gradient's norm");
    this.#steps++;
    const weight = 1 / this.#meanSteps;
    this.#sum += weight * (loss - this.#sum);
    const mean = this.#sum / (1 - (1 - weight) ** this.#steps);
    if (this.#steps < this.#meanSteps / 2 || mean <= EXPLODED * this.#guessing) return;
    const comparison = `that of guessing is ${this.#guessing.toFixed(2)}`;
    throw new Divergence(`the mean loss of the last steps is ${mean.toFixed(2)}, ${comparison}`, mean);
  }
}

/** @throws {Divergence} if any of the values is not finite */
export function requireAllFinite(values: Float32Array, what: string): void {
  requireFinite(values.find((value) => !Number.isFinite(value)) ?? 0, what);
}

function requireFinite(value: number, what: string): void {
  if (!Number.isFinite(value)) throw new Divergence(`${what} is no longer a finite number`, null);
}

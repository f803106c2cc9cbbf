/** Steps of the running mean, and the examples that they hold at least: one example alone may well have a loss of 20. */
const MEAN_STEPS = 16;
const MEAN_EXAMPLES = 256;
/**
 * How many times the loss of guessing is too much. On AG News and irony (MiniLM, LoRA r 8, batches of 16) the running mean stays
 * below 1.02 times at learning rates that learn, up to 0.01; within 60 steps it comes to 1.8 at 0.03, which learns nothing, and to between 2.5
 * and 100 from 0.1 on.
 */
const EXPLODED = 2;

/** Training that ran away; the message says what was seen. */
export class Divergence extends Error {
  override name = 'Divergence';
  /** The running mean of the loss, or null where there is no number. */
  readonly loss: number | null;

  constructor(message: string, loss: number | null) {
    super(message);
    this.loss = loss;
  }
}

/** What a watch remembers: the steps it saw, and their decaying sum. */
export interface LossWatchState {
  readonly steps: number;
  readonly sum: number;
}

/**
 * Watches a classifier's loss. Cross entropy has a yardstick that no setting moves: who always answers every label with the same
 * probability has a loss of ln(labels), whatever the data and the weights of the labels. A single batch may well be above; a mean
 * over many steps of twice that is a classifier that is surely wrong, which healthy training never passes through.
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

  /** Goes on from where another was. */
  restore({ steps, sum }: LossWatchState): void {
    this.#steps = steps;
    this.#sum = sum;
  }

  /** Takes the loss of a step and the norm of its gradients. @throws {Divergence} */
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

/** @throws {Divergence} where any of the values is no finite number */
export function requireAllFinite(values: Float32Array, what: string): void {
  requireFinite(values.find((value) => !Number.isFinite(value)) ?? 0, what);
}

function requireFinite(value: number, what: string): void {
  if (!Number.isFinite(value)) throw new Divergence(`${what} is no longer a finite number`, null);
}

import type { Trained } from './optimizers.ts';

/** Part of itself that the average keeps at a step, after many steps: it then spans the last fifty. */
const DECAY = 0.98;

/** State of an average; the arrays have the order and the lengths of the averaged tensors. */
export interface WeightAverageState {
  readonly steps: number;
  readonly means: readonly Float32Array[];
}

/**
 * The exponential moving average of the tensors that an optimizer changes (Polyak and Juditsky 1992). It answers new texts better and more
 * evenly than the weights of any one step. Early on it spans a tenth of the steps so far, like TensorFlow's `ExponentialMovingAverage`, so
 * that the first values do not weigh for long.
 */
export class WeightAverage {
  readonly #trained: readonly Trained[];
  readonly #means: readonly Float32Array[];
  #steps = 0;

  /** Starts at the tensors' current values. */
  constructor(trained: readonly Trained[]) {
    this.#trained = trained;
    this.#means = trained.map(({ data }) => data.slice());
  }

  /** The current state; the next step changes its arrays. */
  get state(): WeightAverageState {
    return { steps: this.#steps, means: this.#means };
  }

  /** Continues from another average's state. */
  restore({ steps, means }: WeightAverageState): void {
    this.#steps = steps;
    for (const [i, mean] of this.#means.entries()) mean.set(means[i]!);
  }

  /** Adds the current values to the average. */
  update(): void {
    this.#steps++;
    const share = 1 - Math.min(DECAY, (1 + this.#steps) / (10 + this.#steps));
    for (const [i, { data }] of this.#trained.entries()) {
      const mean = this.#means[i]!;
      for (let k = 0; k < mean.length; k++) mean[k]! += share * (data[k]! - mean[k]!);
    }
  }

  /** Replaces the values by their averages while `work` runs. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const values = this.#trained.map(({ data }) => data.slice());
    this.#set(this.#means);
    try {
      return await work();
    } finally {
      this.#set(values);
    }
  }

  #set(values: readonly Float32Array[]): void {
    for (const [i, { data }] of this.#trained.entries()) data.set(values[i]!);
  }
}

import type { Trained } from './optimizers.ts';

/** What the average keeps of itself at a step, once there have been many: it spans the last fifty. */
const DECAY = 0.98;

/** What an average has come to; the arrays are in the order and of the lengths of what it is of. */
export interface WeightAverageState {
  readonly steps: number;
  readonly means: readonly Float32Array[];
}

/**
 * The exponential moving average of what an optimizer changes (Polyak and Juditsky 1992), which answers new texts better and more evenly
 * than the weights of any one step. Early on it spans a tenth of the steps so far, as TensorFlow's `ExponentialMovingAverage`
 * does, so that the first values weigh nothing for long.
 */
export class WeightAverage {
  readonly #trained: readonly Trained[];
  readonly #means: readonly Float32Array[];
  #steps = 0;

  /** Starts at what the tensors are now. */
  constructor(trained: readonly Trained[]) {
    this.#trained = trained;
    this.#means = trained.map(({ data }) => data.slice());
  }

  /** As it is now: the next step changes the arrays. */
  get state(): WeightAverageState {
    return { steps: this.#steps, means: this.#means };
  }

  /** Goes on from where another was. */
  restore({ steps, means }: WeightAverageState): void {
    this.#steps = steps;
    for (const [i, mean] of this.#means.entries()) mean.set(means[i]!);
  }

  /** Takes a step's values in. */
  update(): void {
    this.#steps++;
    const share = 1 - Math.min(DECAY, (1 + this.#steps) / (10 + this.#steps));
    for (const [i, { data }] of this.#trained.entries()) {
      const mean = this.#means[i]!;
      for (let k = 0; k < mean.length; k++) mean[k]! += share * (data[k]! - mean[k]!);
    }
  }

  /** Puts the averages in the place of the values while `work` goes on. */
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

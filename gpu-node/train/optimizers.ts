/** A tensor that an optimizer changes in place. */
export interface Trained {
  readonly data: Float32Array;
}

export interface AdamWOptions {
  weightDecay?: number;
  beta1?: number;
  beta2?: number;
  epsilon?: number;
}

/** State of an optimizer between steps; the arrays have the order and the lengths of its parameters. */
export interface AdamWState {
  readonly steps: number;
  readonly means: readonly Float32Array[];
  readonly squares: readonly Float32Array[];
}

/**
 * AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) computed like `torch.optim.AdamW`: weight decay apart from the gradient, bias
 * correction from step 1, every parameter decayed. The state has single precision, like torch's.
 */
export class AdamW {
  readonly #parameters: readonly Trained[];
  readonly #means: readonly Float32Array[];
  readonly #squares: readonly Float32Array[];
  readonly #options: Required<AdamWOptions>;
  #steps = 0;

  constructor(parameters: readonly Trained[], options: AdamWOptions = {}) {
    this.#parameters = parameters;
    this.#means = parameters.map(({ data }) => new Float32Array(data.length));
    this.#squares = parameters.map(({ data }) => new Float32Array(data.length));
    this.#options = { weightDecay: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, ...options };
  }

  /** The current state; the next step changes its arrays. */
  get state(): AdamWState {
    return { steps: this.#steps, means: this.#means, squares: this.#squares };
  }

  /** Continues from another optimizer's state. */
  restore({ steps, means, squares }: AdamWState): void {
    this.#steps = steps;
    for (const [p, mean] of this.#means.entries()) mean.set(means[p]!);
    for (const [p, square] of this.#squares.entries()) square.set(squares[p]!);
  }

  /** Takes one step. `gradients` have the order and the lengths of the parameters. */
  step(gradients: readonly Float32Array[], learningRate: number): void {
    this.#steps++;
    const { beta1, beta2, epsilon, weightDecay } = this.#options;
    const kept = 1 - learningRate * weightDecay;
    const size = learningRate / (1 - beta1 ** this.#steps);
    const correction = Math.sqrt(1 - beta2 ** this.#steps);
    for (const [p, { data }] of this.#parameters.entries()) {
      const gradient = gradients[p]!;
      const mean = this.#means[p]!;
      const square = this.#squares[p]!;
      for (let i = 0; i < data.length; i++) {
        const g = gradient[i]!;
        const m = beta1 * mean[i]! + (1 - beta1) * g;
        const v = beta2 * square[i]! + (1 - beta2) * g * g;
        mean[i] = m;
        square[i] = v;
        data[i] = kept * data[i]! - (size * m) / (Math.sqrt(v) / correction + epsilon);
      }
    }
  }
}

/**
 * Scales gradients in place so that their joint norm is at most `maxNorm`, like `torch.nn.utils.clip_grad_norm_`. Returns the norm before,
 * which is not finite if a gradient is not.
 */
export function clipGradients(gradients: readonly Float32Array[], maxNorm: number): number {
  let sum = 0;
  for (const gradient of gradients) for (const g of gradient) sum += g * g;
  const norm = Math.sqrt(sum);
  const scale = maxNorm / (norm + 1e-6);
  if (scale < 1)
    for (const gradient of gradients) for (let i = 0; i < gradient.length; i++) gradient[i]! *= scale;
  return norm;
}

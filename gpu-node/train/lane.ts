import { encoderFeeds, type TokenBatch } from '../models/inputs.ts';
import { Random } from '../random.ts';
import { type Feeds, floats, Session, type SessionOptions, tensor } from '../runtime/session.ts';
import { DropoutMasks } from './dropout.ts';
import type { DropoutMask } from './graph.ts';

/** The inputs from which a lane builds its sessions. */
export interface LaneSetup {
  /** ONNX models of `trainingGraph` and `evaluationGraph`. */
  readonly training: Uint8Array;
  readonly evaluation: Uint8Array;
  readonly parameters: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly masks: readonly DropoutMask[];
  /** Probability that dropout keeps an element. */
  readonly keep: number;
  readonly seed: number;
  /** Number of the lane, which gives it random numbers of its own. */
  readonly lane: number;
  readonly options: Pick<SessionOptions, 'device' | 'threads' | 'weightsFolder'>;
}

/** Some texts of a batch. */
export interface Part {
  readonly tokens: TokenBatch;
  /** Labels, `[rows]`. */
  readonly labels: Int32Array;
  /** Share of the batch's weight in the loss. */
  readonly share: number;
}

export interface StepResult {
  readonly loss: number;
  /** Gradient of the loss by each parameter, in the order of `parameters`. */
  readonly gradients: readonly Float32Array[];
}

/** Computes parts of batches on sessions of its own, one run each. Parameters come with each call, in the setup's order. */
export class TrainingLane {
  readonly #setup: LaneSetup;
  readonly #training: Session;
  /** Session for logits; it is made at its first use, so that training starts sooner. */
  #evaluation: Session | undefined;
  readonly #masks: DropoutMasks;

  private constructor(setup: LaneSetup, training: Session) {
    this.#setup = setup;
    this.#training = training;
    this.#masks = new DropoutMasks(setup.masks, setup.keep);
  }

  static async create(setup: LaneSetup): Promise<TrainingLane> {
    return new TrainingLane(
      setup,
      await Session.create(setup.training, { ...setup.options, name: 'training' }),
    );
  }

  /**
   * Loss and gradients of the parts, each times its share, summed in order. `number` gives the step its own dropout: no state outlives a
   * step.
   */
  async step(
    number: number,
    parameters: readonly Float32Array[],
    parts: readonly Part[],
  ): Promise<StepResult> {
    const random = new Random(this.#setup.seed, `dropout ${this.#setup.lane} ${number}`);
    const gradients = parameters.map(({ length }) => new Float32Array(length));
    let loss = 0;
    for (const { tokens, labels, share } of parts) {
      const outputs = await this.#training.run({
        ...this.#feeds(parameters, tokens),
        ...this.#masks.draw(tokens.rows, tokens.length, random),
        labels: tensor('int32', [tokens.rows], labels),
      });
      loss += share * floats(outputs, 'loss')[0]!;
      this.#setup.parameters.forEach(({ name }, i) => {
        addScaled(gradients[i]!, floats(outputs, `${name}.grad`), share);
      });
    }
    return { loss, gradients };
  }

  /** An output of the evaluation graph for each batch, with the rows one after another. */
  async evaluate(
    output: 'logits' | 'features',
    parameters: readonly Float32Array[],
    batches: readonly TokenBatch[],
  ): Promise<Float32Array[]> {
    const { evaluation, options } = this.#setup;
    this.#evaluation ??= await Session.create(evaluation, { ...options, name: 'evaluation' });
    const results: Float32Array[] = [];
    for (const tokens of batches) {
      results.push(floats(await this.#evaluation.run(this.#feeds(parameters, tokens)), output));
    }
    return results;
  }

  async release(): Promise<void> {
    await this.#training.release();
    await this.#evaluation?.release();
  }

  #feeds(parameters: readonly Float32Array[], tokens: TokenBatch): Feeds {
    const named = this.#setup.parameters.map(({ name, shape }, i) => [
      name,
      tensor('float32', shape, parameters[i]!),
    ]);
    return { ...encoderFeeds(tokens), ...Object.fromEntries(named) };
  }
}

export function addScaled(sum: Float32Array, addend: Float32Array, factor: number): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += factor * addend[i]!;
}

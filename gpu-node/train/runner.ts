import { encodeModel } from '../graph/onnx.ts';
import { encoderFeeds, type TokenBatch } from '../models/inputs.ts';
import { methodOf } from '../peft/index.ts';
import { Random } from '../random.ts';
import type { Device } from '../runtime/device.ts';
import { type Feeds, floats, Session, tensor } from '../runtime/session.ts';
import { DropoutMasks, keepProbability } from './dropout.ts';
import { evaluationGraph, type TrainingTask, taskTrainables, trainingGraph } from './graph.ts';

/** A tokenized, labelled text; `label` is an index into the task's labels. */
export interface TrainingExample {
  readonly ids: ArrayLike<number>;
  readonly label: number;
}

/** A tensor that is being trained. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface StepResult {
  readonly loss: number;
  /** Gradient of the loss by each parameter, in the order of `parameters`. */
  readonly gradients: readonly Float32Array[];
}

export interface RunnerOptions {
  readonly seed: number;
  readonly device: Device;
  readonly threads: number;
}

/**
 * Most tokens of one run, padding included. A larger batch is run in parts whose gradients are summed: equal up to
 * rounding, and memory stays bounded whatever the batch size and length.
 */
const MAX_RUN_TOKENS = 2048;
/** Most rows times length squared of one run, for the attention scores: 8 texts of 256 tokens, 2 of 512. */
const MAX_RUN_SCORES = 2 ** 19;

/** A task's sessions and parameters: computes losses, gradients and logits, and knows nothing of optimizers or epochs. */
export class TrainingRunner {
  readonly parameters: readonly Parameter[];
  readonly #task: TrainingTask;
  readonly #training: Session;
  readonly #evaluation: Session;
  readonly #masks: DropoutMasks;

  private constructor(
    task: TrainingTask,
    sessions: { training: Session; evaluation: Session },
    masks: DropoutMasks,
    seed: number,
  ) {
    this.#task = task;
    this.#training = sessions.training;
    this.#evaluation = sessions.evaluation;
    this.#masks = masks;
    this.parameters = taskTrainables(task).map(({ name, shape, init }) => {
      return { name, shape, data: init(new Random(seed, `init ${name}`)) };
    });
  }

  /** Builds the graphs and their sessions. Call `release()` at the end. */
  static async create(task: TrainingTask, { seed, device, threads }: RunnerOptions): Promise<TrainingRunner> {
    const keep = keepProbability(methodOf(task.config).dropout(task.config));
    const { graph, masks } = trainingGraph(task, keep);
    const options = { device, threads, weightsFolder: task.base.weightsFolder };
    const training = await Session.create(encodeModel(graph), { ...options, name: 'training' });
    const evaluation = await Session.create(encodeModel(evaluationGraph(task)), {
      ...options,
      name: 'evaluation',
    });
    const dropout = new DropoutMasks(masks, keep, new Random(seed, 'dropout'));
    return new TrainingRunner(task, { training, evaluation }, dropout, seed);
  }

  /** Loss of a batch, the mean weighted by class, and its gradients. */
  async step(batch: readonly TrainingExample[]): Promise<StepResult> {
    const total = this.#weightOf(batch);
    const gradients = this.parameters.map(({ data }) => new Float32Array(data.length));
    let loss = 0;
    for (const part of splitByTokens(batch)) {
      const tokens = toTokenBatch(part);
      const share = this.#weightOf(part) / total;
      const outputs = await this.#training.run({
        ...this.#feeds(tokens),
        ...this.#masks.draw(tokens.rows, tokens.length),
        labels: tensor(
          'int32',
          [tokens.rows],
          Int32Array.from(part, ({ label }) => label),
        ),
      });
      loss += share * floats(outputs, 'loss')[0]!;
      this.parameters.forEach(({ name }, i) => {
        addScaled(gradients[i]!, floats(outputs, `${name}.grad`), share);
      });
    }
    return { loss, gradients };
  }

  /** Logits of each example, `[labels]` a row, without dropout; in the order given. Stops between runs when aborted. */
  async logits(examples: readonly TrainingExample[], signal?: AbortSignal): Promise<Float32Array[]> {
    const results = new Map<TrainingExample, Float32Array>();
    for (const part of splitByTokens(examples)) {
      await pause();
      signal?.throwIfAborted();
      const outputs = await this.#evaluation.run(this.#feeds(toTokenBatch(part)));
      const logits = floats(outputs, 'logits');
      part.forEach((example, row) => {
        results.set(example, logits.slice(row * this.#task.labels, (row + 1) * this.#task.labels));
      });
    }
    return examples.map((example) => results.get(example)!);
  }

  async release(): Promise<void> {
    await this.#training.release();
    await this.#evaluation.release();
  }

  #feeds(tokens: TokenBatch): Feeds {
    const parameters = this.parameters.map(({ name, shape, data }) => [name, tensor('float32', shape, data)]);
    return { ...encoderFeeds(tokens), ...Object.fromEntries(parameters) };
  }

  #weightOf(batch: readonly TrainingExample[]): number {
    const { classWeights } = this.#task;
    return batch.reduce((sum, { label }) => sum + (classWeights?.[label] ?? 1), 0);
  }
}

/** Lets timers and messages of the parent process through: a run blocks the thread. */
export function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Groups examples of similar length so that none of the groups, padded, is too large for a run. */
function splitByTokens(examples: readonly TrainingExample[]): TrainingExample[][] {
  const parts: TrainingExample[][] = [];
  for (const example of [...examples].sort((a, b) => a.ids.length - b.ids.length)) {
    const last = parts.at(-1);
    if (last && fitsRun(last.length + 1, example.ids.length)) last.push(example);
    else parts.push([example]);
  }
  return parts;
}

function fitsRun(rows: number, length: number): boolean {
  return rows * length <= MAX_RUN_TOKENS && rows * length ** 2 <= MAX_RUN_SCORES;
}

function toTokenBatch(examples: readonly TrainingExample[]): TokenBatch {
  const rows = examples.length;
  const length = Math.max(...examples.map(({ ids }) => ids.length));
  const inputIds = new Int32Array(rows * length);
  const attentionMask = new Float32Array(rows * length);
  examples.forEach(({ ids }, row) => {
    inputIds.set(ids, row * length);
    attentionMask.fill(1, row * length, row * length + ids.length);
  });
  return { rows, length, inputIds, attentionMask };
}

function addScaled(sum: Float32Array, addend: Float32Array, factor: number): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += factor * addend[i]!;
}

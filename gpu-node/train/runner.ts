import { encodeModel } from '../graph/onnx.ts';
import { encoderFeeds, type TokenBatch } from '../models/inputs.ts';
import { lastLayer } from '../peft/classifier.ts';
import { methodOf } from '../peft/index.ts';
import { Random } from '../random.ts';
import type { Device } from '../runtime/device.ts';
import { type Feeds, floats, Session, type SessionOptions, tensor } from '../runtime/session.ts';
import { DropoutMasks, keepProbability } from './dropout.ts';
import { evaluationGraph, type TrainingTask, trainingGraph } from './graph.ts';
import { initialParameters, type Parameter } from './initial-parameters.ts';
import type { Probe } from './linear-probe.ts';

/** A tokenized, labelled text; `label` is an index into the task's labels. */
export interface TrainingExample {
  readonly ids: ArrayLike<number>;
  readonly label: number;
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
 * Most tokens of one run, padding included: so many a thread, for its share of a tensor to stay in its core's cache
 * (32 x 64 tokens on two threads take a tenth less time in four runs than in one). A larger batch is run in parts of
 * similar length whose gradients are summed: equal up to rounding, little padding, and bounded memory.
 */
const RUN_TOKENS_PER_THREAD = 256;
/** The same where the device is no CPU. */
const RUN_TOKENS_OF_DEVICE = 2048;

/** A task's sessions and parameters: computes losses, gradients and logits, and knows nothing of optimizers or epochs. */
export class TrainingRunner {
  readonly parameters: readonly Parameter[];
  readonly #task: TrainingTask;
  readonly #training: Session;
  readonly #options: SessionOptions;
  /** Made when it is first asked for logits: training starts sooner. */
  #evaluation: Session | undefined;
  readonly #masks: DropoutMasks;
  readonly #runTokens: number;

  private constructor(
    task: TrainingTask,
    parameters: readonly Parameter[],
    training: Session,
    options: SessionOptions,
    masks: DropoutMasks,
    { device, threads }: RunnerOptions,
  ) {
    this.#task = task;
    this.parameters = parameters;
    this.#training = training;
    this.#options = options;
    this.#masks = masks;
    this.#runTokens = device === 'cpu' ? RUN_TOKENS_PER_THREAD * threads : RUN_TOKENS_OF_DEVICE;
  }

  /** Builds the training graph and its session. Call `release()` at the end. */
  static async create(task: TrainingTask, settings: RunnerOptions): Promise<TrainingRunner> {
    const { seed, device, threads } = settings;
    const keep = keepProbability(methodOf(task.config).dropout(task.config));
    const { graph, masks } = trainingGraph(task, keep);
    const options = { device, threads, weightsFolder: task.base.weightsFolder };
    const training = await Session.create(encodeModel(graph), { ...options, name: 'training' });
    const dropout = new DropoutMasks(masks, keep, new Random(seed, 'dropout'));
    const parameters = await initialParameters(task, seed);
    return new TrainingRunner(task, parameters, training, options, dropout, settings);
  }

  /** Loss of a batch, the mean weighted by class, and its gradients. */
  async step(batch: readonly TrainingExample[]): Promise<StepResult> {
    const total = this.#weightOf(batch);
    const gradients = this.parameters.map(({ data }) => new Float32Array(data.length));
    let loss = 0;
    for (const part of splitByTokens(batch, this.#runTokens)) {
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
  logits(examples: readonly TrainingExample[], signal?: AbortSignal): Promise<Float32Array[]> {
    return this.#evaluate('logits', examples, signal);
  }

  /** What the head's last layer makes the logits of, `[hidden]` a row. */
  features(examples: readonly TrainingExample[], signal?: AbortSignal): Promise<Float32Array[]> {
    return this.#evaluate('features', examples, signal);
  }

  /** Sets the head's last layer. */
  startHead({ weight, bias }: Probe): void {
    const names = lastLayer(this.#task.base.architecture.head);
    const data = (wanted: string) => this.parameters.find(({ name }) => name === wanted)!.data;
    data(names.weight).set(weight);
    data(names.bias).set(bias);
  }

  async #evaluate(
    output: 'logits' | 'features',
    examples: readonly TrainingExample[],
    signal: AbortSignal | undefined,
  ): Promise<Float32Array[]> {
    const results = new Map<TrainingExample, Float32Array>();
    this.#evaluation ??= await Session.create(encodeModel(evaluationGraph(this.#task)), {
      ...this.#options,
      name: 'evaluation',
    });
    for (const part of splitByTokens(examples, this.#runTokens)) {
      await pause();
      signal?.throwIfAborted();
      const outputs = await this.#evaluation.run(this.#feeds(toTokenBatch(part)));
      const rows = floats(outputs, output);
      const width = rows.length / part.length;
      part.forEach((example, row) => {
        results.set(example, rows.slice(row * width, (row + 1) * width));
      });
    }
    return examples.map((example) => results.get(example)!);
  }

  async release(): Promise<void> {
    await this.#training.release();
    await this.#evaluation?.release();
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

/** Groups examples of similar length so that none of the groups of several, padded, has more tokens than said. */
function splitByTokens(examples: readonly TrainingExample[], most: number): TrainingExample[][] {
  const parts: TrainingExample[][] = [];
  for (const example of [...examples].sort((a, b) => a.ids.length - b.ids.length)) {
    const last = parts.at(-1);
    if (last && (last.length + 1) * example.ids.length <= most) last.push(example);
    else parts.push([example]);
  }
  return parts;
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

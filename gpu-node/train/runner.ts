import type { BasePrecision } from '../../shared/peft-config.ts';
import { encodeModel } from '../graph/onnx.ts';
import { methodOf } from '../methods/index.ts';
import { padToLongest } from '../models/inputs.ts';
import type { BaseModel } from '../models/model.ts';
import { lastLayer } from '../parts/head.ts';
import type { Device } from '../runtime/device.ts';
import { RUN_TOKENS_PER_THREAD } from '../runtime/run-tokens.ts';
import { WorkerThread } from '../runtime/worker-thread.ts';
import { keepProbability } from './dropout.ts';
import { evaluationGraph, type TrainingTask, trainingGraph } from './graph.ts';
import { initialParameters, type Parameter } from './initial-parameters.ts';
import { addScaled, type LaneSetup, type Part, type StepResult } from './lane.ts';
import type { EvaluateCall, LaneHandlers } from './lane-worker.ts';
import type { Probe } from './linear-probe.ts';
import { splitIntoParts, type TrainingExample } from './parts.ts';

export interface RunnerOptions {
  readonly seed: number;
  readonly device: Device;
  readonly threads: number;
}

const LANE = new URL('./lane-worker.ts', import.meta.url);

/** Tokens of one run where the device is no CPU. */
const RUN_TOKENS_OF_DEVICE = 2048;
/** The same where a whole model is trained: each run gives a gradient as large as the model, which costs more than caches spare. */
const RUN_TOKENS_OF_WHOLE_MODEL = 2048;

/** Most bytes that the lanes' copies of the encoder's matrices may take together. */
const MAX_PACKED_BYTES = 1024 ** 3;
/** Copies that a lane's sessions keep of a matrix, repacked: training's, its transpose, and evaluation's. */
const PACKED_COPIES = 3;
const BYTES_PER_ELEMENT: Readonly<Record<BasePrecision, number>> = { fp32: 4, int8: 1, nf4: 1 };

/** Parts that a lane evaluates in one call. */
const PARTS_EVALUATED = 8;

/**
 * A task's parameters, and the lanes that compute with them: losses, gradients and logits, nothing of optimizers or epochs. A batch larger
 * than a run is run in parts of similar length whose gradients are summed: equal up to rounding, little padding, and bounded memory. A lane is a
 * worker thread with sessions of its own. Many small operators leave cores idle where all work on one operator at a time, and share no
 * cache; so each core has parts of a batch to itself. Which lane computes what follows from the batch alone, as does the order of
 * every sum: the same seed gives the same bytes on as many threads.
 */
export class TrainingRunner {
  readonly parameters: readonly Parameter[];
  /** Steps run so far: each draws its dropout by its number. */
  steps = 0;
  readonly #task: TrainingTask;
  readonly #lanes: readonly WorkerThread<LaneHandlers>[];
  readonly #runTokens: number;

  private constructor(
    task: TrainingTask,
    parameters: readonly Parameter[],
    lanes: readonly WorkerThread<LaneHandlers>[],
    runTokens: number,
  ) {
    this.#task = task;
    this.parameters = parameters;
    this.#lanes = lanes;
    this.#runTokens = runTokens;
  }

  /** Builds the training graph and its sessions. Call `release()` at the end. */
  static async create(task: TrainingTask, settings: RunnerOptions): Promise<TrainingRunner> {
    const { seed, device } = settings;
    const parameters = await initialParameters(task, seed);
    const keep = keepProbability(methodOf(task.config).dropout(task.config));
    const { graph, masks } = trainingGraph(task, keep);
    const lanes = lanesFor(task.base, settings);
    const threads = Math.floor(settings.threads / lanes);
    const setup: Omit<LaneSetup, 'lane'> = {
      training: encodeModel(graph),
      evaluation: encodeModel(evaluationGraph(task)),
      parameters: parameters.map(({ name, shape }) => ({ name, shape })),
      masks,
      keep,
      seed,
      options: { device, threads, weightsFolder: task.base.weightsFolder },
    };
    const runTokens = runTokensOf(task, { device, threads });
    const runner = new TrainingRunner(task, parameters, startLanes(lanes, setup), runTokens);
    try {
      await runner.#ready();
      return runner;
    } catch (error) {
      await runner.release();
      throw error;
    }
  }

  /** Loss of a batch, the mean weighted by class, and its gradients. */
  async step(batch: readonly TrainingExample[]): Promise<StepResult> {
    const total = this.#weightOf(batch);
    const parts = splitIntoParts(batch, this.#runTokens, this.#lanes.length).map(
      (examples): Part => ({
        tokens: padToLongest(examples),
        labels: Int32Array.from(examples, ({ label }) => label),
        share: this.#weightOf(examples) / total,
      }),
    );
    const parameters = this.#elements();
    const number = this.steps++;
    const [first, ...others] = await this.#onLanes(parts, (lane, share) =>
      lane.call('step', { number, parameters, parts: share }),
    );
    const { gradients } = first!;
    let { loss } = first!;
    for (const other of others) {
      loss += other.loss;
      gradients.forEach((gradient, i) => {
        addScaled(gradient, other.gradients[i]!, 1);
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

  async release(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.stop()));
  }

  async #evaluate(
    output: EvaluateCall['output'],
    examples: readonly TrainingExample[],
    signal: AbortSignal | undefined,
  ): Promise<Float32Array[]> {
    const results = new Map<TrainingExample, Float32Array>();
    const parameters = this.#elements();
    const parts = splitIntoParts(examples, this.#runTokens, this.#lanes.length);
    const together = PARTS_EVALUATED * this.#lanes.length;
    for (let begin = 0; begin < parts.length; begin += together) {
      await pause();
      signal?.throwIfAborted();
      await this.#onLanes(parts.slice(begin, begin + together), async (lane, share) => {
        const batches = share.map(padToLongest);
        const outputs = await lane.call('evaluate', { output, parameters, batches });
        for (const [i, rows] of outputs.entries()) keepRows(results, share[i]!, rows);
      });
    }
    return examples.map((example) => results.get(example)!);
  }

  /** Deals work out to the lanes in turn; the results of those that had some, in the lanes' order. */
  #onLanes<T, R>(
    work: readonly T[],
    run: (lane: WorkerThread<LaneHandlers>, share: readonly T[]) => Promise<R>,
  ): Promise<R[]> {
    const lanes = this.#lanes.slice(0, work.length);
    return Promise.all(
      lanes.map((lane, number) =>
        run(
          lane,
          work.filter((_, i) => i % lanes.length === number),
        ),
      ),
    );
  }

  async #ready(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.call('ready', null)));
  }

  #elements(): readonly Float32Array[] {
    return this.parameters.map(({ data }) => data);
  }

  #weightOf(batch: readonly TrainingExample[]): number {
    const { classWeights } = this.#task;
    return batch.reduce((sum, { label }) => sum + (classWeights?.[label] ?? 1), 0);
  }
}

/** @param threads of a lane */
function runTokensOf(
  { base, config }: TrainingTask,
  { device, threads }: Omit<RunnerOptions, 'seed'>,
): number {
  if (device !== 'cpu') return RUN_TOKENS_OF_DEVICE;
  if (methodOf(config).wholeModel) return RUN_TOKENS_OF_WHOLE_MODEL;
  return RUN_TOKENS_PER_THREAD[base.precision] * threads;
}

/** Lets timers and messages of the parent process through. */
export function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** One a thread, as far as memory for their weights goes; a device that is no CPU has one. */
export function lanesFor(
  { architecture, precision }: Pick<BaseModel, 'architecture' | 'precision'>,
  { device, threads }: Pick<RunnerOptions, 'device' | 'threads'>,
): number {
  if (device !== 'cpu') return 1;
  const elements = architecture
    .linears('mean')
    .reduce((sum, { inFeatures, outFeatures }) => sum + inFeatures * outFeatures, 0);
  const bytes = PACKED_COPIES * BYTES_PER_ELEMENT[precision] * elements;
  return Math.max(1, Math.min(threads, Math.floor(MAX_PACKED_BYTES / bytes)));
}

function startLanes(count: number, setup: Omit<LaneSetup, 'lane'>): WorkerThread<LaneHandlers>[] {
  // A lane that ends by itself fails its calls, which is all there is to do about it.
  const onDeath = () => {};
  return Array.from(
    { length: count },
    (_, lane) => new WorkerThread<LaneHandlers>(LANE, { ...setup, lane } satisfies LaneSetup, onDeath),
  );
}

function keepRows(
  results: Map<TrainingExample, Float32Array>,
  part: readonly TrainingExample[],
  rows: Float32Array,
): void {
  const width = rows.length / part.length;
  part.forEach((example, row) => {
    results.set(example, rows.slice(row * width, (row + 1) * width));
  });
}

import type { ValidationMetrics } from '../../shared/metrics.ts';
import type { Hyperparameters } from '../../shared/peft-config.ts';
import type { Tensor } from '../../shared/safetensors.ts';
import { lengthBatches } from '../data/batches.ts';
import { Random } from '../random.ts';
import { type DescentShape, LOGITS, type SavedDescent, type TensorKind, tensorName } from './checkpoint.ts';
import { LossWatch } from './divergence.ts';
import type { Parameter } from './initial-parameters.ts';
import { AdamW } from './optimizers.ts';
import type { ProgressMeter } from './progress.ts';
import { WeightAverage } from './weight-average.ts';

export interface EpochResult {
  /** Number of the epoch, from 1. */
  readonly epoch: number;
  /** Mean loss of its training batches. */
  readonly loss: number;
  /** Metrics at temperature 1. */
  readonly metrics: ValidationMetrics | null;
}

/** A state that training may go back to, or end with. */
export interface Snapshot {
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Undefined at the start. */
  readonly result?: EpochResult;
  /** Logits of the validation examples, `[examples, labels]`. */
  readonly logits: Float32Array;
}

export interface TrainingStateOptions {
  readonly shape: DescentShape;
  readonly hyperparameters: Hyperparameters;
  readonly seed: number;
  /** Number of the descent, which gives it an order of its own. */
  readonly number: number;
  /** Counts the steps of all descents; `stepsBefore` of them belong to earlier ones. */
  readonly meter: ProgressMeter;
  readonly stepsBefore: number;
  /** The trained tensors, which the runner reads. */
  readonly parameters: readonly Parameter[];
}

/**
 * Everything that changes in a descent. It can be saved between two steps, and training resumed from there gives the same
 * tensors as training that never stopped.
 */
export class TrainingState {
  readonly meter: ProgressMeter;
  /** The current epoch, from 1, the number of its finished batches, and their sum in its mean loss. */
  epoch = 1;
  batch = 0;
  loss = 0;
  /** True if training has gone back once. */
  backedOff = false;
  start!: Snapshot;
  /** The epoch that training would end with; the start before the first has ended. */
  kept!: Snapshot;
  /** This and all below belong to the current descent; going back begins a new one. */
  optimizer!: AdamW;
  average!: WeightAverage;
  watch!: LossWatch;
  bestF1: number | null = null;
  readonly #options: TrainingStateOptions;
  readonly #order: Random;
  /** State of `#order` when the epoch began. */
  #epochOrder: readonly number[];

  constructor(options: TrainingStateOptions) {
    const { seed, number, meter, stepsBefore } = options;
    this.#options = options;
    this.meter = meter;
    meter.moveTo(stepsBefore);
    this.#order = new Random(seed, number === 0 ? 'order' : `order ${number}`);
    this.#epochOrder = this.#order.state;
    this.begin();
  }

  /** Takes the current tensors as the start. */
  begin(): void {
    this.start = { tensors: this.tensors(), logits: new Float32Array() };
    this.kept = this.start;
    this.#beginDescent();
  }

  /** The trained tensors as they are now. */
  tensors(): ReadonlyMap<string, Tensor> {
    return this.#named(this.#options.parameters.map(({ data }) => data.slice()));
  }

  /** The unfinished batches of the current epoch, as numbers of examples. */
  batchesLeft(lengths: ArrayLike<number>): number[][] {
    this.#order.restore(this.#epochOrder);
    return lengthBatches(lengths, this.#options.hyperparameters.batch_size, this.#order).slice(this.batch);
  }

  nextEpoch(): void {
    this.epoch += 1;
    this.batch = 0;
    this.loss = 0;
    this.#epochOrder = this.#order.state;
  }

  /** Begins a new descent from the kept epoch, or from the start. */
  goBack(): void {
    const { tensors, result } = this.kept;
    for (const { name, data } of this.#options.parameters) data.set(tensors.get(name)!.data);
    this.#beginDescent();
    this.epoch = result?.epoch ?? 0;
    this.nextEpoch();
    this.meter.moveTo(this.#options.stepsBefore + this.steps);
    this.backedOff = true;
  }

  /** The current state; its tensors are the ones in use. */
  save(): SavedDescent {
    const { steps, means, squares } = this.optimizer.state;
    const { stepsRun, tokens, seconds } = this.meter.state;
    const { result } = this.kept;
    const { parameters } = this.#options;
    const tensors = new Map<string, Tensor>();
    const add = (kind: TensorKind, dataOf: (parameter: Parameter, index: number) => Float32Array) => {
      for (const [i, each] of parameters.entries()) {
        tensors.set(tensorName(kind, each.name), { shape: each.shape, data: dataOf(each, i) });
      }
    };
    add('parameter', ({ data }) => data);
    add('mean', (_, i) => means[i]!);
    add('square', (_, i) => squares[i]!);
    add('average', (_, i) => this.average.state.means[i]!);
    add('start', ({ name }) => this.start.tensors.get(name)!.data);
    if (result) {
      const { labels, validationRows } = this.#options.shape;
      add('kept', ({ name }) => this.kept.tensors.get(name)!.data);
      tensors.set(LOGITS, { shape: [validationRows, labels], data: this.kept.logits });
    }
    return {
      tensors,
      position: {
        epoch: this.epoch,
        batch: this.batch,
        loss: this.loss,
        backed_off: this.backedOff,
        kept: result ? { epoch: result.epoch, loss: result.loss } : null,
        order: [...this.#epochOrder],
        descent: { steps, watched: this.watch.state.sum, best_f1: this.bestF1 },
        meter: { steps_run: stepsRun, tokens, seconds },
      },
    };
  }

  /** Resumes from a saved state that fits. `metricsOf` computes metrics from logits of the validation examples. */
  restore(saved: SavedDescent, metricsOf: (logits: Float32Array) => ValidationMetrics | null): void {
    const { position, tensors } = saved;
    const { parameters } = this.#options;
    const allOf = (kind: TensorKind) =>
      parameters.map(({ name }) => tensors.get(tensorName(kind, name))!.data);
    const values = allOf('parameter');
    for (const [i, { data }] of parameters.entries()) data.set(values[i]!);
    const { steps, watched, best_f1 } = position.descent;
    this.optimizer.restore({ steps, means: allOf('mean'), squares: allOf('square') });
    this.average.restore({ steps, means: allOf('average') });
    this.watch.restore({ steps, sum: watched });
    this.bestF1 = best_f1;
    this.epoch = position.epoch;
    this.batch = position.batch;
    this.loss = position.loss;
    this.backedOff = position.backed_off;
    this.#epochOrder = position.order;
    this.start = { tensors: this.#named(allOf('start')), logits: new Float32Array() };
    this.kept = this.start;
    if (position.kept) {
      const logits = tensors.get(LOGITS)!.data;
      const result = { ...position.kept, metrics: metricsOf(logits) };
      this.kept = { tensors: this.#named(allOf('kept')), result, logits };
    }
    const { steps_run: stepsRun, tokens, seconds } = position.meter;
    this.meter.restore({ step: this.#options.stepsBefore + this.steps, stepsRun, tokens, seconds });
  }

  /** Number of the descent's steps: those of its earlier epochs, and of this one. */
  get steps(): number {
    return (this.epoch - 1) * this.#options.shape.stepsPerEpoch + this.batch;
  }

  #beginDescent(): void {
    const { parameters, hyperparameters: h, shape } = this.#options;
    this.optimizer = new AdamW(parameters, { weightDecay: h.weight_decay });
    this.average = new WeightAverage(parameters);
    this.watch = new LossWatch(shape.labels, h.batch_size);
    this.bestF1 = this.kept.result?.metrics?.f1 ?? null;
  }

  /** Tensors by name from the data of each parameter, in order. */
  #named(data: readonly Float32Array[]): ReadonlyMap<string, Tensor> {
    return new Map(this.#options.parameters.map(({ name, shape }, i) => [name, { shape, data: data[i]! }]));
  }
}

import type { Progress } from '../../shared/api/jobs.ts';
import { AppError } from '../../shared/errors.ts';
import { computeMetrics, type ValidationMetrics } from '../../shared/metrics.ts';
import type { Hyperparameters } from '../../shared/peft-config.ts';
import type { Tensor } from '../../shared/safetensors.ts';
import { lengthBatches } from '../data/batches.ts';
import type { Examples, TokenizedText } from '../data/examples.ts';
import { Random } from '../random.ts';
import { Divergence, LossWatch, requireAllFinite } from './divergence.ts';
import type { TrainingTask } from './graph.ts';
import { fitLinearProbe } from './linear-probe.ts';
import { AdamW, clipGradients } from './optimizers.ts';
import { ProgressMeter } from './progress.ts';
import { pause, type RunnerOptions, TrainingRunner } from './runner.ts';
import { linearSchedule } from './schedule.ts';
import { fitTemperature } from './temperature.ts';
import { WeightAverage } from './weight-average.ts';

/** Epochs in a row that are clearly worse than the best, or no longer lower the loss, after which training stops. */
const PATIENCE = 3;
/** By how much an epoch's training loss must be below any earlier one's to count as lower. */
const LOSS_GAIN = 1e-3;
/** What the learning rate is divided by where training diverges; it is tried once. */
const BACK_OFF = 10;
/** Examples whose ids are in memory together outside of steps. */
const READ_TOGETHER = 2048;
/** Most examples whose head starts from a linear probe: its pass over them delays the first step. */
const MAX_PROBED = 2048;
/** Most products of features, examples and labels that a probe is worth: a few seconds of fitting. */
const MAX_PROBE_WORK = 2e7;

export interface TrainingInput extends RunnerOptions {
  readonly task: TrainingTask;
  readonly hyperparameters: Hyperparameters;
  /** Names of the classifier's rows. */
  readonly labels: readonly string[];
  readonly training: Examples;
  /** Empty where none are set aside: the last epoch is the result then. */
  readonly validation: Examples;
  /** Stops training between two runs. */
  readonly signal?: AbortSignal;
  onProgress?(progress: Progress): void;
  onEpoch?(epoch: EpochResult): void;
  onBackOff?(backOff: BackOff): void;
}

export interface EpochResult {
  /** Counts from 1. */
  readonly epoch: number;
  /** Mean loss of its training batches. */
  readonly loss: number;
  /** At temperature 1. */
  readonly metrics: ValidationMetrics | null;
}

/** Training that diverged and goes on from an earlier state with a lower learning rate. */
export interface BackOff {
  readonly reason: string;
  /** Counts from 1. */
  readonly step: number;
  readonly steps: number;
  /** The running mean that was too large; null where the loss was no number. */
  readonly loss: number | null;
  /** The epoch whose adapter it goes on from; 0 is the start. */
  readonly epoch: number;
  readonly learningRate: number;
}

export interface TrainingOutcome {
  /** The kept epoch's tensors by their names in transformers' model. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly kept: EpochResult;
  /** Fitted on the kept epoch's validation; 1 without. */
  readonly temperature: number;
  /** The kept epoch's metrics at that temperature. */
  readonly metrics: ValidationMetrics | null;
  /** Tokens that were trained on, padding not counted. */
  readonly trainedTokens: number;
}

/**
 * Trains a task: AdamW with linear warmup and decay, clipped gradients, and each epoch a validation pass of the averaged
 * weights. The last epoch that is as good as the best is kept and its scores calibrated. Where the loss explodes or is no number,
 * it goes back once to the epoch kept so far, or the start, with a tenth of the learning rate. Every random choice comes from the seed: the same input gives the same
 * tensors on the same machine.
 * @throws AppError `training_failed` where it diverges again; the signal's reason where it is aborted
 */
export async function train(input: TrainingInput): Promise<TrainingOutcome> {
  await yieldTo(input.signal);
  const runner = await TrainingRunner.create(input.task, input);
  try {
    await yieldTo(input.signal);
    return await new Training(input, runner).run();
  } finally {
    await runner.release();
  }
}

/** An epoch that is kept, with what it takes to go back to it. */
interface Checkpoint {
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Undefined at the start. */
  readonly result?: EpochResult;
  /** Of the validation examples, `[examples, labels]`. */
  readonly logits: Float32Array;
}

class Training {
  readonly #input: TrainingInput;
  readonly #runner: TrainingRunner;
  readonly #order: Random;
  readonly #meter: ProgressMeter;
  readonly #stepsPerEpoch: number;
  #start: Checkpoint;
  #learningRate: number;
  #kept: Checkpoint;

  constructor(input: TrainingInput, runner: TrainingRunner) {
    const { hyperparameters: h, training, seed } = input;
    this.#input = input;
    this.#runner = runner;
    this.#order = new Random(seed, 'order');
    this.#stepsPerEpoch = Math.ceil(training.lengths.length / h.batch_size);
    this.#meter = new ProgressMeter(h.epochs * this.#stepsPerEpoch, h.epochs);
    this.#learningRate = h.learning_rate;
    this.#start = { tensors: snapshot(runner), logits: new Float32Array() };
    this.#kept = this.#start;
  }

  async run(): Promise<TrainingOutcome> {
    await this.#startFromProbe();
    try {
      await this.#descend(1);
    } catch (error) {
      if (!(error instanceof Divergence)) throw error;
      await this.#descendAgain(error);
    }
    const { tensors, result, logits } = this.#kept;
    const { validation, labels } = this.#input;
    const rows = rowsOf(logits, labels.length);
    const temperature = fitTemperature(rows, validation.labels);
    return {
      tensors,
      kept: result!,
      temperature,
      metrics: result!.metrics && computeMetrics(labels, validation.labels, rows, temperature),
      trainedTokens: this.#meter.tokens,
    };
  }

  /**
   * Starts the head's last layer as a linear probe of the base model's features, so that the adapter is not first bent towards random
   * classes (Kumar et al. 2022, arXiv:2202.10054). Larger sets learn the same in their first epoch, and start sooner without.
   */
  async #startFromProbe(): Promise<void> {
    const { task, training, signal } = this.#input;
    const examples = training.lengths.length;
    const work = examples * task.base.architecture.hiddenSize * task.labels;
    if (examples > MAX_PROBED || work > MAX_PROBE_WORK) return;
    const rows: Float32Array[] = [];
    for (let begin = 0; begin < examples; begin += READ_TOGETHER) {
      rows.push(...(await this.#runner.features(readFrom(training, begin), signal)));
    }
    const width = rows[0]!.length;
    const features = new Float32Array(rows.length * width);
    for (const [i, row] of rows.entries()) features.set(row, i * width);
    const { classWeights, labels } = task;
    const probe = fitLinearProbe({
      features,
      width,
      actual: training.labels,
      labels,
      ...(classWeights && { classWeights }),
    });
    this.#runner.startHead(probe);
    this.#start = { tensors: snapshot(this.#runner), logits: new Float32Array() };
    this.#kept = this.#start;
  }

  /**
   * Goes back and on from there with a lower learning rate: to the kept epoch, or to the start where that one is no better than
   * guessing.
   */
  async #descendAgain(cause: Divergence): Promise<void> {
    const { learning_rate, max_grad_norm } = this.#input.hyperparameters;
    if (!isBetterThanGuessing(this.#kept.result, this.#input.labels.length)) this.#kept = this.#start;
    const { tensors, result } = this.#kept;
    const epoch = result?.epoch ?? 0;
    this.#learningRate /= BACK_OFF;
    const { step, steps } = this.#meter;
    const { message: reason, loss } = cause;
    this.#input.onBackOff?.({ reason, step, steps, loss, epoch, learningRate: this.#learningRate });
    for (const { name, data } of this.#runner.parameters) data.set(tensors.get(name)!.data);
    this.#meter.rewind(epoch * this.#stepsPerEpoch);
    try {
      await this.#descend(epoch + 1);
    } catch (error) {
      if (!(error instanceof Divergence)) throw error;
      throw new AppError(
        'training_failed',
        `training diverged at step ${this.#meter.step} of ${steps}, again after it went back to learning rate ${this.#learningRate}: ${error.message}; ` +
          `lower learning_rate (${learning_rate}) or max_grad_norm (${max_grad_norm})`,
        { param: 'hyperparameters.learning_rate', cause: error },
      );
    }
  }

  /** Trains from an epoch to the end, or until epochs no longer help. @throws {Divergence} */
  async #descend(from: number): Promise<void> {
    const { hyperparameters: h, labels } = this.#input;
    const { parameters } = this.#runner;
    const optimizer = new AdamW(parameters, { weightDecay: h.weight_decay });
    const average = new WeightAverage(parameters);
    const watch = new LossWatch(labels.length, h.batch_size);
    let best = this.#kept.result?.metrics ?? null;
    let lowest = { loss: Number.POSITIVE_INFINITY, epoch: from };
    for (let epoch = from; epoch <= h.epochs; epoch++) {
      const loss = await this.#trainEpoch(optimizer, average, watch);
      const { result, logits, tensors } = await average.during(() => this.#evaluate(epoch, loss));
      this.#input.onEpoch?.(result);
      if (!best || result.metrics!.f1 > best.f1) best = result.metrics;
      if (isAsGood(result.metrics, best)) this.#kept = { tensors, result, logits };
      if (loss < lowest.loss - LOSS_GAIN) lowest = { loss, epoch };
      if (epoch - Math.min(this.#kept.result!.epoch, lowest.epoch) >= PATIENCE) break;
    }
  }

  /** An epoch as it would be kept. */
  async #evaluate(epoch: number, loss: number): Promise<Required<Checkpoint>> {
    const logits = await this.#validate();
    return {
      tensors: snapshot(this.#runner),
      result: { epoch, loss, metrics: this.#metricsOf(logits) },
      logits,
    };
  }

  /** Mean loss of an epoch's batches. */
  async #trainEpoch(optimizer: AdamW, average: WeightAverage, watch: LossWatch): Promise<number> {
    const { hyperparameters: h, training, signal, onProgress } = this.#input;
    const steps = h.epochs * this.#stepsPerEpoch;
    const schedule = linearSchedule(this.#learningRate, Math.ceil(h.warmup_ratio * steps), steps);
    let mean = 0;
    for (const numbers of lengthBatches(training.lengths, h.batch_size, this.#order)) {
      await yieldTo(signal);
      const batch = training.read(numbers);
      const { loss, gradients } = await this.#runner.step(batch);
      const norm = clipGradients(gradients, h.max_grad_norm);
      const learningRate = schedule(this.#meter.step);
      const progress = this.#meter.advance(tokensOf(batch), loss);
      watch.step(loss, norm);
      optimizer.step(gradients, learningRate);
      average.update();
      mean += (loss * batch.length) / training.lengths.length;
      onProgress?.(progress);
    }
    for (const { name, data } of this.#runner.parameters) requireAllFinite(data, name);
    return mean;
  }

  /** Logits of the validation examples. */
  async #validate(): Promise<Float32Array> {
    const { validation, labels, signal } = this.#input;
    const size = validation.lengths.length;
    const logits = new Float32Array(size * labels.length);
    for (let begin = 0; begin < size; begin += READ_TOGETHER) {
      const rows = await this.#runner.logits(readFrom(validation, begin), signal);
      for (const [i, row] of rows.entries()) logits.set(row, (begin + i) * labels.length);
    }
    requireAllFinite(logits, 'a logit of the validation');
    return logits;
  }

  #metricsOf(logits: Float32Array): ValidationMetrics | null {
    const { validation, labels } = this.#input;
    if (logits.length === 0) return null;
    return computeMetrics(labels, validation.labels, rowsOf(logits, labels.length));
  }
}

/** The next examples from one on, in their order. */
function readFrom(examples: Examples, begin: number): readonly TokenizedText[] {
  const count = Math.min(READ_TOGETHER, examples.lengths.length - begin);
  return examples.read(Array.from({ length: count }, (_, i) => begin + i));
}

/** Lets messages through that may abort. */
async function yieldTo(signal: AbortSignal | undefined): Promise<void> {
  await pause();
  signal?.throwIfAborted();
}

/** Whether an epoch's loss, that of validation where there is one, is below that of equal probabilities for all labels. */
function isBetterThanGuessing(result: EpochResult | undefined, labels: number): boolean {
  return result !== undefined && (result.metrics?.loss ?? result.loss) < Math.log(labels);
}

/** The trained tensors as they are now. */
function snapshot(runner: TrainingRunner): ReadonlyMap<string, Tensor> {
  return new Map(runner.parameters.map(({ name, shape, data }) => [name, { shape, data: data.slice() }]));
}

function tokensOf(batch: readonly TokenizedText[]): number {
  return batch.reduce((sum, { ids }) => sum + ids.length, 0);
}

/** The rows of a matrix, none of which is copied. */
function rowsOf(values: Float32Array, columns: number): Iterable<Float32Array> {
  return {
    *[Symbol.iterator]() {
      for (let at = 0; at < values.length; at += columns) yield values.subarray(at, at + columns);
    },
  };
}

/**
 * Whether an epoch's F1 is within one standard error of the best: few validation rows tell epochs apart no better, and then a later
 * one, of a lower learning rate, answers new texts better (the one-standard-error rule of Breiman et al. 1984). Without metrics always.
 */
function isAsGood(metrics: ValidationMetrics | null, best: ValidationMetrics | null): boolean {
  if (!metrics || !best) return true;
  return metrics.f1 >= best.f1 - Math.sqrt((best.f1 * (1 - best.f1)) / best.examples);
}

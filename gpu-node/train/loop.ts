import type { Progress } from '../../shared/api/jobs.ts';
import { AppError } from '../../shared/errors.ts';
import { computeMetrics, type ValidationMetrics } from '../../shared/metrics.ts';
import type { Hyperparameters } from '../../shared/peft-config.ts';
import type { Tensor } from '../../shared/safetensors.ts';
import type { Examples, TokenizedText } from '../data/examples.ts';
import type { Checkpoints, TrainingShape } from './checkpoint.ts';
import { Divergence, requireAllFinite } from './divergence.ts';
import type { TrainingTask } from './graph.ts';
import { fitLinearProbe } from './linear-probe.ts';
import { clipGradients } from './optimizers.ts';
import { pause, type RunnerOptions, TrainingRunner } from './runner.ts';
import { linearSchedule } from './schedule.ts';
import { type EpochResult, type Snapshot, TrainingState } from './state.ts';
import { fitTemperature } from './temperature.ts';

/**
 * Consecutive epochs clearly worse than the best after which training stops. A low training loss is no reason to stop: steps of ever lower
 * learning rates still help then (docs/experiments.md).
 */
const PATIENCE = 3;
/** Divisor of the learning rate after a divergence; it is tried once. */
const BACK_OFF = 10;
/** Number of examples whose ids are in memory together outside of steps. */
const READ_TOGETHER = 2048;
/** Most examples for which the head starts from a linear probe: its pass over them delays the first step. */
const MAX_PROBED = 2048;
/** Largest product of features, examples and labels for a probe; it bounds the fit to a few seconds. */
const MAX_PROBE_WORK = 2e7;

export interface TrainingInput extends RunnerOptions {
  readonly task: TrainingTask;
  readonly hyperparameters: Hyperparameters;
  /** Labels in the order of the classifier's rows. */
  readonly labels: readonly string[];
  readonly training: Examples;
  /** Examples set aside for validation. If there are none, the last epoch is the result. */
  readonly validation: Examples;
  /** A signal that stops training between two runs. */
  readonly signal?: AbortSignal;
  /** Stores the state between steps, and when training is stopped. */
  readonly checkpoints?: Checkpoints;
  onProgress?(progress: Progress): void;
  onEpoch?(epoch: EpochResult): void;
  onBackOff?(backOff: BackOff): void;
}

/** Report of a training that diverged and resumes from an earlier state with a lower learning rate. */
export interface BackOff {
  readonly reason: string;
  /** Number of the step, from 1. */
  readonly step: number;
  readonly steps: number;
  /** The running mean that was too large; null if the loss was no number. */
  readonly loss: number | null;
  /** The epoch whose adapter it resumes from; 0 is the start. */
  readonly epoch: number;
  readonly learningRate: number;
}

export interface TrainingOutcome {
  /** The kept epoch's tensors by their names in transformers' model. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly kept: EpochResult;
  /** Temperature fitted on the kept epoch's validation; 1 without validation. */
  readonly temperature: number;
  /** The kept epoch's metrics at that temperature. */
  readonly metrics: ValidationMetrics | null;
  /** Number of tokens trained on, without padding. */
  readonly trainedTokens: number;
}

/**
 * Trains a task by AdamW with linear warmup and decay and clipped gradients, and validates the averaged weights after each epoch. The last
 * epoch that is as good as the best is kept and its scores calibrated.
 * If the loss explodes or is no number, training goes back once to the kept epoch, or the start, with a tenth of the learning rate. Every
 * random choice comes from the seed: the same input gives the same tensors on the same machine, however often training was stopped and
 * resumed.
 * @throws AppError `training_failed` if it diverges again; the signal's reason if it is aborted
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

class Training {
  readonly #input: TrainingInput;
  readonly #runner: TrainingRunner;
  readonly #shape: TrainingShape;
  readonly #state: TrainingState;

  constructor(input: TrainingInput, runner: TrainingRunner) {
    const { hyperparameters, labels, training, validation, seed } = input;
    const { parameters } = runner;
    this.#input = input;
    this.#runner = runner;
    this.#shape = {
      parameters,
      labels: labels.length,
      validationRows: validation.lengths.length,
      epochs: hyperparameters.epochs,
      stepsPerEpoch: Math.ceil(training.lengths.length / hyperparameters.batch_size),
    };
    this.#state = new TrainingState({ shape: this.#shape, hyperparameters, seed, parameters });
  }

  async run(): Promise<TrainingOutcome> {
    await this.#begin();
    try {
      await this.#descend();
    } catch (error) {
      const { signal, checkpoints } = this.#input;
      // An abort stops training between two steps, so the state is complete.
      if (signal?.aborted && error === signal.reason) await checkpoints?.save(this.#state.save());
      throw error;
    }
    return this.#outcome();
  }

  /** Starts from an earlier attempt's state, or from a probe. */
  async #begin(): Promise<void> {
    const saved = await this.#input.checkpoints?.load(this.#shape);
    if (saved) this.#state.restore(saved, (logits) => this.#metricsOf(logits));
    this.#runner.steps = this.#state.meter.stepsRun;
    if (!saved) await this.#startFromProbe();
  }

  #outcome(): TrainingOutcome {
    const { kept, meter } = this.#state;
    const { tensors, result, logits } = kept;
    const { validation, labels } = this.#input;
    const rows = rowsOf(logits, labels.length);
    const temperature = fitTemperature(rows, validation.labels);
    return {
      tensors,
      kept: result!,
      temperature,
      metrics: result!.metrics && computeMetrics(labels, validation.labels, rows, temperature),
      trainedTokens: meter.tokens,
    };
  }

  /**
   * Starts the head's last layer as a linear probe of the base model's features, so that the adapter is not first bent towards random
   * classes (Kumar et al. 2022, arXiv:2202.10054). Larger sets learn the same in their first epoch, and start sooner without it.
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
    this.#state.begin();
  }

  /** Trains to the end; after a divergence it resumes once from an earlier state. */
  async #descend(): Promise<void> {
    for (;;) {
      try {
        return await this.#trainEpochs();
      } catch (error) {
        if (!(error instanceof Divergence)) throw error;
        if (this.#state.backedOff) throw this.#divergedAgain(error);
        this.#backOff(error);
      }
    }
  }

  /** Goes back with a lower learning rate: to the kept epoch, or to the start if that epoch is no better than guessing. */
  #backOff({ message: reason, loss }: Divergence): void {
    const state = this.#state;
    const { step, steps } = state.meter;
    if (!isBetterThanGuessing(state.kept.result, this.#input.labels.length)) state.kept = state.start;
    state.goBack();
    const epoch = state.kept.result?.epoch ?? 0;
    this.#input.onBackOff?.({ reason, step, steps, loss, epoch, learningRate: this.#learningRate });
  }

  #divergedAgain(cause: Divergence): AppError {
    const { learning_rate, max_grad_norm } = this.#input.hyperparameters;
    const { step, steps } = this.#state.meter;
    return new AppError(
      'training_failed',
      `training diverged at step ${step} of ${steps}, again after it went back to learning rate ${this.#learningRate}: ${cause.message}; ` +
        `lower learning_rate (${learning_rate}) or max_grad_norm (${max_grad_norm})`,
      { param: 'hyperparameters.learning_rate', cause },
    );
  }

  get #learningRate(): number {
    const { learning_rate } = this.#input.hyperparameters;
    return this.#state.backedOff ? learning_rate / BACK_OFF : learning_rate;
  }

  /** Trains from the state to the end, or until epochs no longer help. @throws {Divergence} */
  async #trainEpochs(): Promise<void> {
    const { hyperparameters: h, onEpoch } = this.#input;
    const state = this.#state;
    for (; state.epoch <= h.epochs; state.nextEpoch()) {
      await this.#trainEpoch();
      const { epoch } = state;
      const evaluated = await state.average.during(() => this.#evaluate());
      const { metrics } = evaluated.result;
      onEpoch?.(evaluated.result);
      if (metrics) state.bestF1 = Math.max(state.bestF1 ?? 0, metrics.f1);
      if (isAsGood(metrics, state.bestF1)) state.kept = evaluated;
      if (epoch - state.kept.result!.epoch >= PATIENCE) break;
    }
  }

  /** The current epoch as it would be kept. */
  async #evaluate(): Promise<Required<Snapshot>> {
    const { epoch, loss } = this.#state;
    const logits = await this.#validate();
    const result = { epoch, loss, metrics: this.#metricsOf(logits) };
    return { tensors: this.#state.tensors(), result, logits };
  }

  /** Takes the remaining steps of the state's epoch. */
  async #trainEpoch(): Promise<void> {
    const { hyperparameters: h, training, signal, checkpoints, onProgress } = this.#input;
    const state = this.#state;
    const steps = h.epochs * this.#shape.stepsPerEpoch;
    const schedule = linearSchedule(this.#learningRate, Math.ceil(h.warmup_ratio * steps), steps);
    for (const numbers of state.batchesLeft(training.lengths)) {
      await yieldTo(signal);
      const batch = training.read(numbers);
      const { loss, gradients } = await this.#runner.step(batch);
      const norm = clipGradients(gradients, h.max_grad_norm);
      const learningRate = schedule(state.meter.step);
      const progress = state.meter.advance(tokensOf(batch), loss);
      state.watch.step(loss, norm);
      state.optimizer.step(gradients, learningRate);
      state.average.update();
      state.loss += (loss * batch.length) / training.lengths.length;
      state.batch += 1;
      onProgress?.(progress);
      await checkpoints?.saveIfDue(() => state.save());
    }
    for (const { name, data } of this.#runner.parameters) requireAllFinite(data, name);
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

/** The next examples from number `begin` on, in order. */
function readFrom(examples: Examples, begin: number): readonly TokenizedText[] {
  const count = Math.min(READ_TOGETHER, examples.lengths.length - begin);
  return examples.read(Array.from({ length: count }, (_, i) => begin + i));
}

/** Lets messages in, which may abort. */
async function yieldTo(signal: AbortSignal | undefined): Promise<void> {
  await pause();
  signal?.throwIfAborted();
}

/** True if an epoch's validation loss, or training loss without validation, is below that of equal probabilities for all labels. */
function isBetterThanGuessing(result: EpochResult | undefined, labels: number): boolean {
  return result !== undefined && (result.metrics?.loss ?? result.loss) < Math.log(labels);
}

function tokensOf(batch: readonly TokenizedText[]): number {
  return batch.reduce((sum, { ids }) => sum + ids.length, 0);
}

/** The rows of a matrix, without copying. */
function rowsOf(values: Float32Array, columns: number): Iterable<Float32Array> {
  return {
    *[Symbol.iterator]() {
      for (let at = 0; at < values.length; at += columns) yield values.subarray(at, at + columns);
    },
  };
}

/**
 * True if an epoch's F1 is within one standard error of the best: few validation rows cannot tell such epochs apart, and a later one, of a
 * lower learning rate, answers new texts better (the one-standard-error rule of Breiman et al. 1984). It is always true without metrics.
 */
function isAsGood(metrics: ValidationMetrics | null, best: number | null): boolean {
  if (!metrics || best === null) return true;
  return metrics.f1 >= best - Math.sqrt((best * (1 - best)) / metrics.examples);
}

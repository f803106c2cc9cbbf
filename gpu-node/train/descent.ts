import type { Progress } from '../../shared/api/jobs.ts';
import { AppError } from '../../shared/errors.ts';
import { computeMetrics, type F1Metric, type ValidationMetrics } from '../../shared/metrics.ts';
import type { Hyperparameters } from '../../shared/peft-config.ts';
import type { Examples, TokenizedText } from '../data/examples.ts';
import { BLENDS, blend } from './blend.ts';
import type { DescentShape, SavedDescent } from './checkpoint.ts';
import { Divergence, requireAllFinite } from './divergence.ts';
import type { TrainingTask } from './graph.ts';
import { fitLinearProbe } from './linear-probe.ts';
import { clipGradients } from './optimizers.ts';
import type { ProgressMeter } from './progress.ts';
import { pause, type TrainingRunner } from './runner.ts';
import { linearSchedule } from './schedule.ts';
import { type EpochResult, type Snapshot, TrainingState } from './state.ts';

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

/** What a descent trains on, and what validates it. */
export interface Fold {
  readonly training: Examples;
  /** Examples set aside. If there are none, the last epoch is the result. */
  readonly validation: Examples;
}

export interface DescentInput extends Fold {
  readonly task: TrainingTask;
  readonly hyperparameters: Hyperparameters;
  /** Labels in the order of the classifier's rows. */
  readonly labels: readonly string[];
  /** The F1 by which epochs are compared. */
  readonly metric: F1Metric;
  readonly seed: number;
  /** Number of the descent, which gives it an order of its own. */
  readonly number: number;
  readonly shape: DescentShape;
  readonly meter: ProgressMeter;
  /** Steps of the meter that belong to earlier descents. */
  readonly stepsBefore: number;
  /** A signal that stops training between two runs. */
  readonly signal?: AbortSignal;
  /** Called after every step; it calls `save` if a save is due. */
  saveIfDue(save: () => SavedDescent): Promise<void>;
  onProgress(progress: Progress): void;
  onEpoch(epoch: EpochResult): void;
  onBackOff(backOff: BackOff): void;
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

/** Where a descent came to. */
export interface Descended {
  readonly start: Snapshot;
  readonly kept: Required<Snapshot>;
  /** Logits of the validation examples at each of `BLENDS`, `[examples, labels]`. */
  readonly blends: readonly Float32Array[];
}

/**
 * One training from start to end on a runner: AdamW with linear warmup and decay and clipped gradients, and a validation of the averaged
 * weights after each epoch. The last epoch that is as good as the best is kept. If the loss explodes or is no number, it goes back once to
 * the kept epoch, or the start, with a tenth of the learning rate.
 */
export class Descent {
  readonly #input: DescentInput;
  readonly #runner: TrainingRunner;
  readonly #state: TrainingState;

  constructor(input: DescentInput, runner: TrainingRunner) {
    const { hyperparameters, seed, number, shape, meter, stepsBefore } = input;
    this.#input = input;
    this.#runner = runner;
    const { parameters } = runner;
    this.#state = new TrainingState({
      shape,
      hyperparameters,
      seed,
      number,
      meter,
      stepsBefore,
      parameters,
    });
  }

  /** The state between two steps, to go on from later. */
  save(): SavedDescent {
    return this.#state.save();
  }

  /**
   * Trains from a saved state, or from a probe.
   * @throws AppError `training_failed` if it diverges again; the signal's reason if it is aborted, between two steps
   */
  async run(saved: SavedDescent | undefined): Promise<Descended> {
    if (saved) this.#state.restore(saved, (logits) => this.#metricsOf(logits));
    this.#runner.steps = this.#state.meter.stepsRun;
    if (!saved) await this.#startFromProbe();
    await this.#descend();
    const { start, kept } = this.#state;
    return { start, kept: kept as Required<Snapshot>, blends: await this.#blends() };
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
    this.#input.onBackOff({ reason, step, steps, loss, epoch, learningRate: this.#learningRate });
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
    const { hyperparameters: h, metric, validation, onEpoch } = this.#input;
    const state = this.#state;
    for (; state.epoch <= h.epochs; state.nextEpoch()) {
      await this.#trainEpoch();
      const { epoch } = state;
      const evaluated = await state.average.during(() => this.#evaluate());
      const { metrics } = evaluated.result;
      onEpoch(evaluated.result);
      const f1 = metrics?.[metric] ?? null;
      if (f1 !== null) state.bestF1 = Math.max(state.bestF1 ?? 0, f1);
      if (isAsGood(f1, state.bestF1, validation.lengths.length)) state.kept = evaluated;
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
    const { hyperparameters: h, training, signal, shape, saveIfDue, onProgress } = this.#input;
    const state = this.#state;
    const steps = h.epochs * shape.stepsPerEpoch;
    const schedule = linearSchedule(this.#learningRate, Math.ceil(h.warmup_ratio * steps), steps);
    for (const numbers of state.batchesLeft(training.lengths)) {
      await yieldTo(signal);
      const batch = training.read(numbers);
      const { loss, gradients } = await this.#runner.step(batch);
      const norm = clipGradients(gradients, h.max_grad_norm);
      const learningRate = schedule(state.steps);
      const progress = state.meter.advance(tokensOf(batch), loss);
      state.watch.step(loss, norm);
      state.optimizer.step(gradients, learningRate);
      state.average.update();
      state.loss += (loss * batch.length) / training.lengths.length;
      state.batch += 1;
      onProgress(progress);
      await saveIfDue(() => state.save());
    }
    for (const { name, data } of this.#runner.parameters) requireAllFinite(data, name);
  }

  /** Logits of the validation examples on the way from the start to the kept epoch. The parameters are spent after it. */
  async #blends(): Promise<Float32Array[]> {
    const { start, kept } = this.#state;
    if (this.#input.validation.lengths.length === 0) return BLENDS.map(() => kept.logits);
    const logits: Float32Array[] = [];
    for (const share of BLENDS.slice(0, -1)) {
      for (const { name, data } of this.#runner.parameters) {
        blend(data, start.tensors.get(name)!.data, kept.tensors.get(name)!.data, share);
      }
      logits.push(await this.#validate());
    }
    return [...logits, kept.logits];
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
export async function yieldTo(signal: AbortSignal | undefined): Promise<void> {
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
export function rowsOf(values: Float32Array, columns: number): Iterable<Float32Array> {
  return {
    *[Symbol.iterator]() {
      for (let at = 0; at < values.length; at += columns) yield values.subarray(at, at + columns);
    },
  };
}

/**
 * True if an epoch's F1 is within one standard error of the best: few validation rows cannot tell such epochs apart, and a later one, of a
 * lower learning rate, answers new texts better (the one-standard-error rule of Breiman et al. 1984). It is always true without validation.
 */
function isAsGood(f1: number | null, best: number | null, rows: number): boolean {
  if (f1 === null || best === null) return true;
  return f1 >= best - Math.sqrt((best * (1 - best)) / rows);
}

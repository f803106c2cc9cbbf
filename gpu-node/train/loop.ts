import type { Progress } from '../../shared/api/jobs.ts';
import { computeMetrics, type F1Metric, type ValidationMetrics } from '../../shared/metrics.ts';
import type { Hyperparameters } from '../../shared/peft-config.ts';
import type { Tensor } from '../../shared/safetensors.ts';
import { chooseBlend } from './blend.ts';
import type { Checkpoints, EpochLoss, SavedDescent, SavedState, TrainingShape } from './checkpoint.ts';
import { type BackOff, Descent, type Fold, rowsOf, yieldTo } from './descent.ts';
import { FoldMean } from './fold-mean.ts';
import type { TrainingTask } from './graph.ts';
import { ProgressMeter } from './progress.ts';
import { type RunnerOptions, TrainingRunner } from './runner.ts';
import type { EpochResult } from './state.ts';
import { fitTemperature } from './temperature.ts';

export interface TrainingInput extends RunnerOptions {
  readonly task: TrainingTask;
  readonly hyperparameters: Hyperparameters;
  /** Labels in the order of the classifier's rows. */
  readonly labels: readonly string[];
  /** A descent each, from the same start; their mean is the result. */
  readonly folds: readonly Fold[];
  /** The F1 to aim at. */
  readonly metric: F1Metric;
  /** A signal that stops training between two runs. */
  readonly signal?: AbortSignal;
  /** Stores the state between steps, and when training is stopped. */
  readonly checkpoints?: Checkpoints;
  onProgress?(progress: Progress): void;
  /** `fold` is the number of the descent, from 1. */
  onEpoch?(epoch: EpochResult, fold: number): void;
  onBackOff?(backOff: BackOff): void;
}

export interface TrainingOutcome {
  /** The adapter's tensors by their names in transformers' model. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The kept epoch of each descent. */
  readonly kept: readonly EpochLoss[];
  /** Share of the way from the start to the kept epochs at which the adapter lies. */
  readonly share: number;
  /** Metrics of the validation examples, each by the descent that has not seen it; null without any. */
  readonly uncalibrated: ValidationMetrics | null;
  /** Temperature fitted on the validation; 1 without validation. */
  readonly temperature: number;
  /** The metrics at that temperature. */
  readonly metrics: ValidationMetrics | null;
  /** Number of tokens trained on, without padding. */
  readonly trainedTokens: number;
}

/**
 * Trains a task: a descent for each fold, their mean, the share of the way that the validation examples favour, and calibrated scores.
 * Every random choice comes from the seed: the same input gives the same tensors on the same machine, however often training was stopped and
 * resumed.
 * @throws AppError `training_failed` if a descent diverges twice; the signal's reason if it is aborted
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
  readonly #meter: ProgressMeter;
  readonly #mean: FoldMean;

  constructor(input: TrainingInput, runner: TrainingRunner) {
    const { hyperparameters, labels, folds } = input;
    const { epochs, batch_size } = hyperparameters;
    this.#input = input;
    this.#runner = runner;
    this.#shape = {
      parameters: runner.parameters,
      labels: labels.length,
      epochs,
      folds: folds.map(({ training, validation }) => ({
        validationRows: validation.lengths.length,
        stepsPerEpoch: Math.ceil(training.lengths.length / batch_size),
      })),
    };
    this.#meter = new ProgressMeter(this.#stepsBefore(folds.length), epochs);
    this.#mean = new FoldMean(this.#shape);
  }

  async run(): Promise<TrainingOutcome> {
    const { folds, checkpoints } = this.#input;
    // Later descents start from the same values.
    const start = folds.length === 1 ? [] : this.#runner.parameters.map(({ data }) => data.slice());
    let saved = await checkpoints?.load(this.#shape);
    if (saved) this.#mean.restore(saved);
    while (this.#mean.finished.length < folds.length) {
      for (const [i, data] of start.entries()) this.#runner.parameters[i]!.data.set(data);
      await this.#descend(saved);
      saved = undefined;
    }
    return this.#outcome();
  }

  async #descend(saved: SavedState | undefined): Promise<void> {
    const { folds, signal, checkpoints, onProgress, onEpoch, onBackOff, ...rest } = this.#input;
    const number = this.#mean.finished.length;
    const save = (state: SavedDescent) => this.#mean.save(state);
    const descent = new Descent(
      {
        ...rest,
        ...folds[number]!,
        number,
        shape: { ...this.#shape, ...this.#shape.folds[number]! },
        meter: this.#meter,
        stepsBefore: this.#stepsBefore(number),
        ...(signal && { signal }),
        saveIfDue: async (state) => checkpoints?.saveIfDue(() => save(state())),
        onProgress: (progress) => onProgress?.(progress),
        onEpoch: (epoch) => onEpoch?.(epoch, number + 1),
        onBackOff: (backOff) => onBackOff?.(backOff),
      },
      this.#runner,
    );
    try {
      this.#mean.add(await descent.run(saved));
    } catch (error) {
      // An abort stops training between two steps, so the state is complete.
      if (signal?.aborted && error === signal.reason) await checkpoints?.save(save(descent.save()));
      throw error;
    }
  }

  #stepsBefore(fold: number): number {
    const { folds, epochs } = this.#shape;
    return folds.slice(0, fold).reduce((sum, { stepsPerEpoch }) => sum + epochs * stepsPerEpoch, 0);
  }

  #outcome(): TrainingOutcome {
    const { labels, folds, metric } = this.#input;
    const actual = folds.flatMap(({ validation }) => Array.from(validation.labels));
    const logits = this.#mean.logits.map((all) => [...rowsOf(all, labels.length)]);
    const chosen = actual.length > 0 ? chooseBlend({ labels, actual, logits, metric }) : undefined;
    const share = chosen?.share ?? 1;
    const temperature = fitTemperature(chosen?.rows ?? [], actual);
    return {
      tensors: this.#mean.tensors(share),
      kept: this.#mean.finished,
      share,
      uncalibrated: chosen?.metrics ?? null,
      temperature,
      metrics: chosen ? computeMetrics(labels, actual, chosen.rows, temperature) : null,
      trainedTokens: this.#meter.tokens,
    };
  }
}

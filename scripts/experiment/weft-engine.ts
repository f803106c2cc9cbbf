import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type TrainingNews,
  type TrainingResult,
  trainInProcess,
} from '../../gpu-node/daemon/train-process.ts';
import { WEIGHTS_FILES } from '../../shared/adapter-format.ts';
import { computeMetrics } from '../../shared/metrics.ts';
import { countParameters } from './base.ts';
import { requestOf } from './configurations.ts';
import type { Engine, Job } from './engine.ts';
import { LossCurve } from './losses.ts';
import { PEAK_FILE } from './peak-memory.ts';
import type { Epoch, Measured } from './result.ts';
import { ServedAdapters } from './served.ts';

const TRAINER = new URL('./trainer.ts', import.meta.url);
/** Least score in the loss, because a score of 0 has no logarithm. */
const LEAST_SCORE = 1e-12;

/** The platform's engine: a training process forked as a node forks it, and its adapter served as a node serves it. */
export class WeftEngine implements Engine {
  readonly #cache: string;
  #served: Promise<ServedAdapters> | undefined;

  /** `cache` is a folder for the served adapters. */
  constructor(cache: string) {
    this.#cache = cache;
  }

  async measure(job: Job): Promise<Measured> {
    const epochs: Epoch[] = [];
    const losses = new LossCurve();
    let rate: number | null = null;
    const onNews = (news: TrainingNews) => {
      if (news.type === 'event' && news.event.type === 'metrics') epochs.push(epochOf(news.event.data ?? {}));
      if (news.type !== 'progress') return;
      losses.add(news.progress);
      rate = news.progress.tokens_per_second;
      job.onProgress(news.progress);
    };
    const start = performance.now();
    const done = await trainInProcess({ entry: TRAINER, spec: specOf(job), onNews, signal: job.signal });
    const training_seconds = (performance.now() - start) / 1000;
    const weights = done.manifest.filter(({ name }) => WEIGHTS_FILES.has(name));
    const parameters = await Promise.all(weights.map(({ name }) => countParameters(join(job.folder, name))));
    return {
      resolved: done.resolved,
      ...(await this.#test(job, done)),
      epochs,
      losses: losses.points,
      trainable_parameters: parameters.reduce((sum, count) => sum + count, 0),
      adapter_bytes: weights.reduce((sum, { bytes }) => sum + bytes, 0),
      trained_tokens: done.trained_tokens,
      training_seconds,
      tokens_per_second: rate,
      peak_bytes: Number(await readFile(join(job.folder, PEAK_FILE), 'utf8')),
    };
  }

  async stop(): Promise<void> {
    await (await this.#served)?.stop();
  }

  async #test(
    job: Job,
    { manifest }: TrainingResult,
  ): Promise<Pick<Measured, 'metrics' | 'serving_milliseconds'>> {
    this.#served ??= ServedAdapters.open(job, this.#cache);
    const { labels, scores, milliseconds } = await (await this.#served).classify(job, manifest);
    const actual = job.data.test.rows.map(({ label }) => labels.indexOf(label));
    const logits = scores.map((row) => row.map((score) => Math.log(Math.max(LEAST_SCORE, score))));
    return { metrics: computeMetrics(labels, actual, logits), serving_milliseconds: milliseconds };
  }
}

function specOf({ run, data, base, folder, device, threads }: Job) {
  return {
    base_model: { id: base.id, folder: base.folder, sha256: base.sha256, weights_folder: base.weightsFolder },
    training_file: data.training.path,
    validation_file: run.protocol === 'published' ? data.test.path : null,
    validation_split: 'auto' as const,
    ...requestOf(run.settings),
    auto_precision: 'fp32' as const,
    resolved: null,
    seed: run.seed,
    output_folder: folder,
    device,
    threads,
  };
}

function epochOf(data: Readonly<Record<string, unknown>>): Epoch {
  const number = (value: unknown) => (typeof value === 'number' ? value : null);
  return {
    epoch: number(data.epoch) ?? 0,
    train_loss: number(data.train_loss) ?? 0,
    valid_loss: number(data.valid_loss),
    valid_f1: number(data.valid_f1),
  };
}

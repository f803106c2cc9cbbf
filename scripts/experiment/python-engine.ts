import { join } from 'node:path';
import { z } from 'zod';
import { sortLabels } from '../../gpu-node/data/dataset.ts';
import { progress } from '../../shared/api/jobs.ts';
import { computeMetrics } from '../../shared/metrics.ts';
import type { Engine, Job } from './engine.ts';
import { LossCurve } from './losses.ts';
import { PythonProcess } from './python-process.ts';
import type { Epoch, Measured } from './result.ts';

/** An answer of a peer's script: a run gets any number of `progress`, then one `done`. */
const answer = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('progress'), progress }),
  z.strictObject({
    type: z.literal('done'),
    /** One entry for each epoch that was tested: a row of logits per tested row, with one number per label. */
    tested: z.array(z.strictObject({ epoch: z.int(), logits: z.array(z.array(z.number())) })).min(1),
    epochs: z.array(z.strictObject({ epoch: z.int(), train_loss: z.number() })),
    trainable_parameters: z.int(),
    trained_tokens: z.int(),
    tokens_per_second: z.number().nullable(),
    peak_bytes: z.int().nullable(),
  }),
]);
type Done = Extract<z.infer<typeof answer>, { type: 'done' }>;

export interface PythonEngineOptions {
  readonly python: string;
  /** The peer's script, beside this module. */
  readonly script: string;
  /** True if one process answers all runs; otherwise each run has its own, so that its memory can be measured. */
  readonly keeps: boolean;
}

/**
 * A peer in Python. It trains on all training rows, as its users do, and has no early stopping. Its result is the last epoch, or the best
 * one where the protocol chooses on the tested rows.
 */
export class PythonEngine implements Engine {
  readonly #options: PythonEngineOptions;
  #kept: PythonProcess | undefined;
  /** The end of the last run: a kept process answers one run at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: PythonEngineOptions) {
    this.#options = options;
  }

  measure(job: Job): Promise<Measured> {
    if (!this.#options.keeps) return this.#measureIn(this.#start(), job, true);
    const measured = this.#turn.then(() => {
      job.signal.throwIfAborted();
      this.#kept ??= this.#start();
      return this.#measureIn(this.#kept, job, false);
    });
    this.#turn = measured.catch(() => {});
    return measured;
  }

  async stop(): Promise<void> {
    await this.#kept?.stop();
  }

  #start(): PythonProcess {
    return new PythonProcess(this.#options.python, join(import.meta.dirname, this.#options.script));
  }

  async #measureIn(process: PythonProcess, job: Job, last: boolean): Promise<Measured> {
    const losses = new LossCurve();
    const start = performance.now();
    const kill = () => void process.stop();
    job.signal.addEventListener('abort', kill, { once: true });
    try {
      process.send(specOf(job));
      for (;;) {
        const said = answer.parse(await process.next());
        if (said.type === 'done') return measuredOf(job, said, losses, (performance.now() - start) / 1000);
        losses.add(said.progress);
        job.onProgress(said.progress);
      }
    } catch (error) {
      job.signal.throwIfAborted();
      throw error;
    } finally {
      job.signal.removeEventListener('abort', kill);
      if (last) await process.stop();
    }
  }
}

function labelsOf({ data }: Job): string[] {
  return sortLabels(data.training.rows.map(({ label }) => label));
}

function specOf(job: Job) {
  const { run, data, base, threads } = job;
  return {
    base: base.folder,
    training: data.training.path,
    test: data.test.path,
    labels: labelsOf(job),
    seed: run.seed,
    tests: run.protocol === 'published' ? 'each' : 'last',
    ...run.settings,
    threads,
  };
}

function measuredOf(job: Job, done: Done, losses: LossCurve, training_seconds: number): Measured {
  const labels = labelsOf(job);
  const actual = job.data.test.rows.map(({ label }) => labels.indexOf(label));
  const tested = done.tested.map(({ epoch, logits }) => {
    return { epoch, metrics: computeMetrics(labels, actual, logits) };
  });
  const best = tested.reduce((a, b) => (b.metrics.f1 > a.metrics.f1 ? b : a));
  const epochs = done.epochs.map(({ epoch, train_loss }): Epoch => {
    const metrics = tested.find((each) => each.epoch === epoch)?.metrics;
    return { epoch, train_loss, valid_loss: metrics?.loss ?? null, valid_f1: metrics?.f1 ?? null };
  });
  return {
    resolved: { ...job.run.settings },
    metrics: best.metrics,
    epochs,
    losses: losses.points,
    trainable_parameters: done.trainable_parameters,
    trained_tokens: done.trained_tokens,
    training_seconds,
    tokens_per_second: done.tokens_per_second,
    peak_bytes: done.peak_bytes,
  };
}

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BUNDLE_FILES } from '../shared/adapter-format.ts';
import type { Heartbeat, HeartbeatResponse, JobLease } from '../shared/api/nodes.ts';
import { AppError } from '../shared/errors.ts';
import { isDiskFull } from './disk-full.ts';
import type { EdgeClient } from './edge-client.ts';
import { explain, type Log } from './log.ts';
import type { TrainingSpec } from './train/protocol.ts';
import { TrainingFailure, type TrainingNews, type TrainingResult, trainInProcess } from './train-process.ts';

type RunningJob = Heartbeat['jobs'][number];
type StopReason = 'lost' | 'cancelled' | 'shutdown';

const MAX_EVENTS_PER_CALL = 100;
const MAX_EVENTS_KEPT = 1000;
/** Milliseconds without a new job after one that this node had no room for: it is another node's turn. */
const REST_MS = 300_000;

export interface JobLoopOptions {
  edge: EdgeClient;
  /** Emptied at start and after each job. */
  folder: string;
  baseModels: readonly TrainingSpec['base_model'][];
  /** What `base_precision: "auto"` comes to here. */
  autoPrecision: TrainingSpec['auto_precision'];
  device: TrainingSpec['device'];
  threads: number;
  /** The module a training process runs. */
  trainer: URL;
  log: Log;
  /** Called when the edge should hear of a job, or that the node is free for another, before the next heartbeat is due. */
  onChange(): void;
}

/** Runs the node's training jobs, one at a time. */
export class JobLoop {
  readonly #options: JobLoopOptions;
  #current: { job: TrainingJob; done: Promise<void> } | undefined;
  #restsUntil = 0;

  constructor(options: JobLoopOptions) {
    this.#options = options;
  }

  /** Removes what a killed daemon left behind. */
  async open(): Promise<void> {
    await rm(this.#options.folder, { recursive: true, force: true });
    await mkdir(this.#options.folder, { recursive: true });
  }

  get busy(): boolean {
    return this.#current !== undefined;
  }

  get wantsJob(): boolean {
    return !this.busy && performance.now() >= this.#restsUntil;
  }

  start(lease: JobLease): void {
    const job = new TrainingJob(lease, this.#options);
    const done = job.run().finally(() => {
      if (job.lacksRoom) this.#restsUntil = performance.now() + REST_MS;
      this.#current = undefined;
      this.#options.onChange();
    });
    this.#current = { job, done };
  }

  /** What the next heartbeat says; give it back by `restore` if it was not delivered. */
  report(): RunningJob[] {
    const report = this.#current?.job.report();
    return report ? [report] : [];
  }

  restore(undelivered: readonly RunningJob[]): void {
    for (const report of undelivered) {
      if (this.#current?.job.id === report.job_id) this.#current.job.restore(report);
    }
  }

  /** Applies the edge's answer: a job that is lost or cancelled stops at once. */
  apply(states: HeartbeatResponse['jobs']): void {
    for (const { job_id, state } of states) {
      if (state !== 'ok' && this.#current?.job.id === job_id) this.#current.job.stop(state);
    }
  }

  /** Hands the running job back to the queue and waits until it is. */
  async shutdown(): Promise<void> {
    this.#current?.job.stop('shutdown');
    await this.#current?.done;
  }
}

class TrainingJob {
  readonly #lease: JobLease;
  readonly #options: JobLoopOptions;
  readonly #abort = new AbortController();
  #progress: RunningJob['progress'] = null;
  #resolved: RunningJob['resolved'];
  #events: RunningJob['events'] = [];
  #stopped: StopReason | undefined;
  #completing = false;
  #lacksRoom = false;

  constructor(lease: JobLease, options: JobLoopOptions) {
    this.#lease = lease;
    this.#options = options;
  }

  get id(): string {
    return this.#lease.job_id;
  }

  /** Whether it failed for what this node lacks and another may have. */
  get lacksRoom(): boolean {
    return this.#lacksRoom;
  }

  /** Undefined while the job is being completed: its lease ends there, and a heartbeat could find it gone. */
  report(): RunningJob | undefined {
    if (this.#completing) return undefined;
    const { job_id, token } = this.#lease;
    const resolved = this.#resolved;
    return {
      job_id,
      token,
      progress: this.#progress,
      events: this.#takeEvents(),
      ...(resolved && { resolved }),
    };
  }

  restore(report: RunningJob): void {
    this.#events.unshift(...report.events);
  }

  /** Once it is being completed, the edge's answer to that says whether the job was still the node's. */
  stop(reason: StopReason): void {
    if (this.#completing && reason !== 'shutdown') return;
    this.#stopped ??= reason;
    this.#abort.abort(new Error(`job ${this.id}: ${reason}`));
  }

  /** Never rejects: whatever happens is told to the edge, or its lease lapses. */
  async run(): Promise<void> {
    const { log, folder } = this.#options;
    const work = join(folder, `${this.id}-${this.#lease.attempt}`);
    log.info('job leased', { job: this.id, adapter: this.#lease.adapter, attempt: this.#lease.attempt });
    try {
      const result = await this.#train(work);
      // The last progress and events, while the files are uploaded.
      this.#options.onChange();
      await this.#deliver(work, result);
      log.info('job done', { job: this.id, trained_tokens: result.trained_tokens });
    } catch (error) {
      await this.#giveUp(error);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  async #train(work: string): Promise<TrainingResult> {
    const { edge } = this.#options;
    const lease = this.#lease;
    const job = { id: lease.job_id, token: lease.token };
    const baseModel = this.#baseModel();
    const training = join(work, 'training.jsonl');
    const validation = lease.has_validation_file ? join(work, 'validation.jsonl') : null;
    const output = join(work, 'bundle');
    await mkdir(output, { recursive: true });
    await edge.downloadDataset(job, 'training', training, this.#abort.signal);
    if (validation) await edge.downloadDataset(job, 'validation', validation, this.#abort.signal);
    return trainInProcess({
      entry: this.#options.trainer,
      signal: this.#abort.signal,
      onNews: (news) => this.#hear(news),
      spec: {
        base_model: baseModel,
        training_file: training,
        validation_file: validation,
        validation_split: lease.validation_split,
        method: lease.method,
        hyperparameters: lease.hyperparameters,
        auto_precision: this.#options.autoPrecision,
        resolved: lease.resolved,
        seed: lease.seed,
        output_folder: output,
        device: this.#options.device,
        threads: this.#options.threads,
      },
    });
  }

  /** The very base model that the job is for; the edge knows the node's from its registration. */
  #baseModel(): TrainingSpec['base_model'] {
    const { base_model, base_model_sha256: wanted } = this.#lease;
    const found = this.#options.baseModels.find(({ id, sha256 }) => id === base_model && sha256 === wanted);
    if (found) return found;
    const message = `this node has no base model ${base_model} of SHA-256 ${wanted.slice(0, 12)}…`;
    throw new AppError('no_capacity', message);
  }

  async #deliver(work: string, result: TrainingResult): Promise<void> {
    const { edge } = this.#options;
    const { token } = this.#lease;
    for (const name of BUNDLE_FILES) {
      const file = join(work, 'bundle', name);
      await edge.uploadAdapterFile({ id: this.id, token }, name, file, this.#abort.signal);
    }
    this.#completing = true;
    const { resolved, manifest, metrics, trained_tokens } = result;
    const body = { token, resolved, manifest, metrics, trained_tokens, events: this.#takeEvents() };
    await edge.complete(this.id, body, this.#abort.signal);
  }

  async #giveUp(error: unknown): Promise<void> {
    const { edge, log } = this.#options;
    if (this.#stopped === 'lost' || this.#stopped === 'cancelled') {
      log.info('job stopped', { job: this.id, reason: this.#stopped });
      return;
    }
    const handsBack = this.#stopped === 'shutdown';
    const failure = handsBack ? SHUTTING_DOWN : describe(error);
    this.#lacksRoom = failure.error.code === 'no_capacity';
    if (handsBack) {
      log.info('job goes back to the queue', { job: this.id });
    } else {
      const detail = error instanceof TrainingFailure ? error.detail : undefined;
      log.warn('job failed', { job: this.id, reason: failure.error.message, ...(detail && { detail }) });
    }
    this.#completing = true;
    try {
      await edge.fail(this.id, { token: this.#lease.token, events: this.#takeEvents(), ...failure });
    } catch (cause) {
      log.warn('the edge was not told; the lease will lapse', { job: this.id, reason: explain(cause) });
    }
  }

  #hear(news: TrainingNews): void {
    if (news.type === 'progress') this.#progress = news.progress;
    else if (news.type === 'resolved') this.#resolved = news.resolved;
    else if (news.type === 'event' && this.#events.length < MAX_EVENTS_KEPT) this.#events.push(news.event);
  }

  #takeEvents(): RunningJob['events'] {
    return this.#events.splice(0, MAX_EVENTS_PER_CALL);
  }
}

/** The edge returns such a job to the queue without counting the attempt. */
const SHUTTING_DOWN = {
  error: { code: 'shutting_down', message: 'the node is shutting down' },
  retryable: true,
};

/** What the edge is told, and whether another attempt may fare better. */
function describe(error: unknown): { error: { code: string; message: string }; retryable: boolean } {
  if (error instanceof TrainingFailure) {
    return { error: { code: error.code, message: error.message }, retryable: error.retryable };
  }
  if (error instanceof AppError) {
    return { error: { code: error.code, message: error.message }, retryable: error.status >= 500 };
  }
  if (isDiskFull(error)) {
    const message = "the disk under the node's WEFT_HOME is full";
    return { error: { code: 'no_capacity', message }, retryable: true };
  }
  return { error: { code: 'internal_error', message: 'the node could not run the job' }, retryable: true };
}

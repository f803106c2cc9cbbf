import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Heartbeat, JobLease } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import { MAX_EVENTS_PER_CALL } from '../../shared/label-limits.ts';
import { isDiskFull } from '../disk-full.ts';
import { explain, type Log } from '../log.ts';
import type { CheckpointSpec, TrainingEvent, TrainingSpec } from '../train/protocol.ts';
import { CheckpointUploads } from './checkpoint-uploads.ts';
import type { EdgeClient } from './edge-client.ts';
import { TrainingFailure, type TrainingNews, type TrainingResult, trainInProcess } from './train-process.ts';

export type RunningJob = Heartbeat['jobs'][number];
type StopReason = 'lost' | 'cancelled' | 'shutdown';

const MAX_EVENTS_KEPT = 1000;
/** Milliseconds to upload the last state of an attempt that has failed. */
const LAST_UPLOAD_MS = 5000;
/** Milliseconds to upload the last state in a drain, and to hand the job back; with the training process's own time it makes 8 s. */
const DRAIN_UPLOAD_MS = 2500;
const HAND_BACK_MS = 1500;

export interface TrainingJobOptions {
  edge: EdgeClient;
  /** Folder of the jobs' files, emptied at the start and after each job. */
  folder: string;
  baseModels: readonly TrainingSpec['base_model'][];
  /** The precision that `base_precision: "auto"` means here. */
  autoPrecision: TrainingSpec['auto_precision'];
  device: TrainingSpec['device'];
  threads: number;
  /** Milliseconds of training between two saves of its state. */
  checkpointInterval: number;
  /** Module that a training process runs. */
  trainer: URL;
  log: Log;
  /** Called when the edge should hear of a job, or that the node is free, before the next heartbeat is due. */
  onChange(): void;
}

/** One attempt of a job: it fetches the data, trains in a process, uploads saved states on the way, and delivers the adapter. */
export class TrainingJob {
  readonly #lease: JobLease;
  readonly #options: TrainingJobOptions;
  /** The attempt's own folder. */
  readonly #work: string;
  readonly #abort = new AbortController();
  readonly #uploads: CheckpointUploads;
  #progress: RunningJob['progress'] = null;
  #resolved: RunningJob['resolved'];
  #events: RunningJob['events'] = [];
  #stopped: StopReason | undefined;
  #completing = false;
  #lacksRoom = false;

  constructor(lease: JobLease, options: TrainingJobOptions) {
    this.#lease = lease;
    this.#options = options;
    this.#work = join(options.folder, `${lease.job_id}-${lease.attempt}`);
    this.#uploads = new CheckpointUploads({
      file: join(this.#work, 'checkpoint'),
      upload: (file, signal) => options.edge.uploadCheckpoint(this.#held, file, signal),
      onFailure: (error) => this.#warn('the state of the training could not be sent to the edge', error),
    });
  }

  get id(): string {
    return this.#lease.job_id;
  }

  /** The job in the form in which calls to the edge name it. */
  get #held(): { id: string; token: string } {
    return { id: this.#lease.job_id, token: this.#lease.token };
  }

  /** True if the job failed for lack of something that another node may have. */
  get lacksRoom(): boolean {
    return this.#lacksRoom;
  }

  /**
   * The job's report for a heartbeat. It is undefined while the job is being completed: the lease ends there, and a heartbeat could find it
   * gone.
   */
  report(): RunningJob | undefined {
    if (this.#completing) return undefined;
    const { job_id, token } = this.#lease;
    // The decisions are reported once: with 1,000 labels they are half a megabyte.
    const resolved = this.#resolved;
    this.#resolved = undefined;
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
    this.#resolved ??= report.resolved;
  }

  /** Stops the job. Once it is being completed, the edge's answer says whether it was still the node's. */
  stop(reason: StopReason): void {
    if (this.#completing && reason !== 'shutdown') return;
    this.#stopped ??= reason;
    if (reason !== 'shutdown') this.#uploads.stop();
    this.#abort.abort(new Error(`job ${this.id}: ${reason}`));
  }

  /** Runs the job. It never rejects: the edge is told of whatever happens, or the lease lapses. */
  async run(): Promise<void> {
    const { log } = this.#options;
    log.info('job leased', { job: this.id, adapter: this.#lease.adapter, attempt: this.#lease.attempt });
    try {
      const result = await this.#train();
      this.#uploads.stop();
      // The last progress and events are sent while the files are uploaded.
      this.#options.onChange();
      await this.#deliver(result);
      log.info('job done', { job: this.id, trained_tokens: result.trained_tokens });
    } catch (error) {
      await this.#giveUp(error);
    } finally {
      await this.#clear();
    }
  }

  /** Empties the folder; files that cannot be removed now are removed at the daemon's next start. */
  async #clear(): Promise<void> {
    await rm(this.#work, { recursive: true, force: true }).catch((error) => {
      this.#options.log.warn("a job's folder cannot be removed", { job: this.id, reason: explain(error) });
    });
  }

  async #train(): Promise<TrainingResult> {
    const { edge } = this.#options;
    const lease = this.#lease;
    const work = this.#work;
    const baseModel = this.#baseModel();
    const training = join(work, 'training.jsonl');
    const validation = lease.has_validation_file ? join(work, 'validation.jsonl') : null;
    const output = join(work, 'bundle');
    await mkdir(output, { recursive: true });
    await edge.downloadDataset(this.#held, 'training', training, this.#abort.signal);
    if (validation) await edge.downloadDataset(this.#held, 'validation', validation, this.#abort.signal);
    const resume = await this.#fetchCheckpoint();
    return trainInProcess({
      entry: this.#options.trainer,
      signal: this.#abort.signal,
      onNews: (news) => this.#hear(news),
      spec: {
        base_model: baseModel,
        training_file: training,
        validation_file: validation,
        validation_split: lease.validation_split,
        aims: lease.aims,
        method: lease.method,
        hyperparameters: lease.hyperparameters,
        auto_precision: this.#options.autoPrecision,
        resolved: lease.resolved,
        seed: lease.seed,
        output_folder: output,
        checkpoint: {
          file: join(work, 'checkpoint'),
          interval: this.#options.checkpointInterval,
          resume,
        },
        device: this.#options.device,
        threads: this.#options.threads,
      },
    });
  }

  /** The exact base model that the job needs; the edge knows the node's from its registration. */
  #baseModel(): TrainingSpec['base_model'] {
    const { base_model, base_model_sha256: wanted } = this.#lease;
    const found = this.#options.baseModels.find(({ id, sha256 }) => id === base_model && sha256 === wanted);
    if (found) return found;
    const message = `this node has no base model ${base_model} of SHA-256 ${wanted.slice(0, 12)}…`;
    throw new AppError('no_capacity', message);
  }

  /** Fetches an earlier attempt's saved state; without one training starts over. */
  async #fetchCheckpoint(): Promise<CheckpointSpec['resume']> {
    const { checkpoint } = this.#lease;
    if (!checkpoint) return null;
    const file = join(this.#work, 'earlier-checkpoint');
    const signal = this.#abort.signal;
    try {
      await this.#options.edge.downloadCheckpoint(this.#held, file, signal);
      return { file, ...checkpoint };
    } catch (error) {
      if (signal.aborted || isDiskFull(error)) throw error;
      this.#warn(
        `a checkpoint of attempt ${checkpoint.attempt} could not be fetched; training starts over`,
        error,
      );
      return null;
    }
  }

  async #deliver(result: TrainingResult): Promise<void> {
    const { edge } = this.#options;
    const { token } = this.#lease;
    for (const { name } of result.manifest) {
      const file = join(this.#work, 'bundle', name);
      await edge.uploadAdapterFile(this.#held, name, file, this.#abort.signal);
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
    // The state must be sent while the lease holds: the next attempt resumes from it.
    if (failure.retryable) await this.#uploads.finish(handsBack ? DRAIN_UPLOAD_MS : LAST_UPLOAD_MS);
    this.#completing = true;
    try {
      const body = { token: this.#lease.token, events: this.#takeEvents(), ...failure };
      await edge.fail(this.id, body, handsBack ? AbortSignal.timeout(HAND_BACK_MS) : undefined);
    } catch (cause) {
      log.warn('the edge was not told; the lease will lapse', { job: this.id, reason: explain(cause) });
    }
  }

  #hear(news: TrainingNews): void {
    if (news.type === 'progress') this.#progress = news.progress;
    else if (news.type === 'resolved') this.#resolved = news.resolved;
    else if (news.type === 'checkpoint') this.#uploads.offer();
    else this.#note(news.event);
  }

  #note(event: TrainingEvent): void {
    if (this.#events.length < MAX_EVENTS_KEPT) this.#events.push(event);
  }

  /** Logs an error that the job survives. */
  #warn(message: string, error: unknown): void {
    this.#options.log.warn(message, { job: this.id, reason: explain(error) });
    this.#note({ level: 'warn', message, type: 'message', data: null });
  }

  #takeEvents(): RunningJob['events'] {
    return this.#events.splice(0, MAX_EVENTS_PER_CALL);
  }
}

/** The error of a job that is handed back: the edge returns it to the queue without counting the attempt. */
const SHUTTING_DOWN = {
  error: { code: 'shutting_down', message: 'the node is shutting down' },
  retryable: true,
};

/** The error for the edge; `retryable` says that another attempt may succeed. */
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

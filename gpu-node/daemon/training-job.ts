import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BUNDLE_FILES } from '../../shared/adapter-format.ts';
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
/** Milliseconds to send the last state of an attempt that has failed. */
const LAST_UPLOAD_MS = 5000;
/** The same in a drain, and to hand the job back: with the time that the training process has to end, 8 s in all. */
const DRAIN_UPLOAD_MS = 2500;
const HAND_BACK_MS = 1500;

export interface TrainingJobOptions {
  edge: EdgeClient;
  /** Emptied at start and after each job. */
  folder: string;
  baseModels: readonly TrainingSpec['base_model'][];
  /** What `base_precision: "auto"` comes to here. */
  autoPrecision: TrainingSpec['auto_precision'];
  device: TrainingSpec['device'];
  threads: number;
  /** Milliseconds of training after which its state is saved again. */
  checkpointInterval: number;
  /** The module a training process runs. */
  trainer: URL;
  log: Log;
  /** Called when the edge should hear of a job, or that the node is free for another, before the next heartbeat is due. */
  onChange(): void;
}

/** One attempt of a job: fetches, trains in a process, saves its state at the edge as it goes, delivers. */
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

  /** The job, as calls to the edge name it. */
  get #held(): { id: string; token: string } {
    return { id: this.#lease.job_id, token: this.#lease.token };
  }

  /** Whether it failed for what this node lacks and another may have. */
  get lacksRoom(): boolean {
    return this.#lacksRoom;
  }

  /** Undefined while the job is being completed: its lease ends there, and a heartbeat could find it gone. */
  report(): RunningJob | undefined {
    if (this.#completing) return undefined;
    const { job_id, token } = this.#lease;
    // Once: with 1,000 labels it is half a megabyte.
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

  /** Once it is being completed, the edge's answer to that says whether the job was still the node's. */
  stop(reason: StopReason): void {
    if (this.#completing && reason !== 'shutdown') return;
    this.#stopped ??= reason;
    if (reason !== 'shutdown') this.#uploads.stop();
    this.#abort.abort(new Error(`job ${this.id}: ${reason}`));
  }

  /** Never rejects: whatever happens is told to the edge, or its lease lapses. */
  async run(): Promise<void> {
    const { log } = this.#options;
    log.info('job leased', { job: this.id, adapter: this.#lease.adapter, attempt: this.#lease.attempt });
    try {
      const result = await this.#train();
      this.#uploads.stop();
      // The last progress and events, while the files are uploaded.
      this.#options.onChange();
      await this.#deliver(result);
      log.info('job done', { job: this.id, trained_tokens: result.trained_tokens });
    } catch (error) {
      await this.#giveUp(error);
    } finally {
      await this.#clear();
    }
  }

  /** What cannot be removed now is when the daemon starts next. */
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

  /** The very base model that the job is for; the edge knows the node's from its registration. */
  #baseModel(): TrainingSpec['base_model'] {
    const { base_model, base_model_sha256: wanted } = this.#lease;
    const found = this.#options.baseModels.find(({ id, sha256 }) => id === base_model && sha256 === wanted);
    if (found) return found;
    const message = `this node has no base model ${base_model} of SHA-256 ${wanted.slice(0, 12)}…`;
    throw new AppError('no_capacity', message);
  }

  /** What an earlier attempt saved; without it training starts over. */
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
    for (const name of BUNDLE_FILES) {
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
    // While the lease holds: the next attempt goes on from there.
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

  /** Something that the job survives. */
  #warn(message: string, error: unknown): void {
    this.#options.log.warn(message, { job: this.id, reason: explain(error) });
    this.#note({ level: 'warn', message, type: 'message', data: null });
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

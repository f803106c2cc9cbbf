import { mkdir, rm } from 'node:fs/promises';
import type { HeartbeatResponse, JobLease } from '../../shared/api/nodes.ts';
import { type RunningJob, TrainingJob, type TrainingJobOptions } from './training-job.ts';

/** Milliseconds without a new job after one that this node had no room for, so that another node gets a turn. */
const REST_MS = 300_000;

/** Runs the node's training jobs, one at a time. */
export class JobLoop {
  readonly #options: TrainingJobOptions;
  #current: { job: TrainingJob; done: Promise<void> } | undefined;
  #restsUntil = 0;

  constructor(options: TrainingJobOptions) {
    this.#options = options;
  }

  /** Removes the remains of a killed daemon; its training process may still be about to end. */
  async open(): Promise<void> {
    await rm(this.#options.folder, { recursive: true, force: true, maxRetries: 5 });
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

  /** The jobs for the next heartbeat. Give them back by `restore` if it was not delivered. */
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

  /** Saves the running job's training and hands the job back to the queue. Resolves when that is done, after 8 s at most. */
  async shutdown(): Promise<void> {
    this.#current?.job.stop('shutdown');
    await this.#current?.done;
  }
}

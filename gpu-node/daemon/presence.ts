import { setTimeout as sleep } from 'node:timers/promises';
import type { HeartbeatResponse, NodeLoad, RegisterNode } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import { explain, type Log } from '../log.ts';
import type { ServingLease } from '../serve/serving-lease.ts';
import type { EdgeClient } from './edge-client.ts';
import type { JobLoop } from './job-loop.ts';
import type { TaskLoop } from './task-loop.ts';

/** Milliseconds between heartbeats while a job runs, so that its progress is fresh and a cancellation quick. */
const BUSY_BEAT_MS = 1000;
const REGISTER_RETRY_MS = 1000;
/** Milliseconds to tell the edge of leaving; it is a part of a drain's time. */
const LEAVE_TIMEOUT_MS = 1000;

export interface PresenceOptions {
  edge: EdgeClient;
  node: RegisterNode;
  jobs: JobLoop;
  tasks: TaskLoop;
  serving: ServingLease;
  /** What the node does at the moment. */
  load(): NodeLoad;
  /** Called with bundles that were deleted at the edge. */
  onDeleted(bundles: readonly string[]): void;
  log: Log;
}

/** Keeps the node known to the edge: it registers, then sends one combined heartbeat after another. */
export class Presence {
  readonly #options: PresenceOptions;
  #cursor = 0;
  #interval = 0;
  #silent = false;
  #wake = new AbortController();

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** Registers, retrying until the edge is up; logs each reason for a retry once. */
  async register(signal: AbortSignal): Promise<void> {
    const { edge, node, serving, log } = this.#options;
    let said = '';
    while (!signal.aborted) {
      try {
        const sentAt = serving.now();
        const answer = await edge.register(node, signal);
        serving.renew(sentAt, answer.serving);
        this.#interval = answer.heartbeat_seconds * 1000;
        return;
      } catch (error) {
        if (signal.aborted) return;
        const reason = whyRefused(error);
        if (reason !== said) log.warn('the edge does not take the node yet; trying again', { reason });
        said = reason;
        await this.#pause(REGISTER_RETRY_MS * (0.5 + Math.random()), signal);
      }
    }
  }

  /** Sends heartbeats until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#beat(signal);
      const interval =
        this.#options.jobs.busy || this.#options.tasks.busy
          ? Math.min(BUSY_BEAT_MS, this.#interval)
          : this.#interval;
      await this.#pause(interval, signal);
    }
  }

  /** Ends the lease and tells the edge, so that nobody waits for the node. Call it after the last heartbeat. */
  async leave(): Promise<void> {
    const { edge, node, serving, log } = this.#options;
    serving.end();
    if (!this.#interval) return;
    await edge.leave(node.id, AbortSignal.timeout(LEAVE_TIMEOUT_MS)).catch((error) => {
      log.warn('the edge does not hear the node leave', { reason: whyRefused(error) });
    });
  }

  /** Sends the next heartbeat now, e.g. because the node has become free. */
  wake(): void {
    this.#wake.abort();
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { edge, node, jobs, tasks, serving, load, log } = this.#options;
    const reports = jobs.report();
    const body = {
      jobs: reports,
      wants_job: jobs.wantsJob,
      load: load(),
      tasks: tasks.report(),
      wants_task: !tasks.busy,
      deletions_after: this.#cursor,
      changes_after: serving.head,
    };
    try {
      const sentAt = serving.now();
      const answer = await edge.heartbeat(node.id, body, signal);
      serving.renew(sentAt, answer.serving);
      this.#apply(answer);
      if (this.#silent) log.info('the edge answers again');
      this.#silent = false;
    } catch (error) {
      jobs.restore(reports);
      if (signal.aborted) return;
      if (error instanceof AppError && error.code === 'node_not_found') return this.register(signal);
      if (!this.#silent) log.warn('the edge does not answer', { reason: whyRefused(error) });
      this.#silent = true;
    }
  }

  #apply(answer: HeartbeatResponse): void {
    const { jobs, tasks, onDeleted } = this.#options;
    this.#cursor = answer.deletions_cursor;
    jobs.apply(answer.jobs);
    if (answer.deleted_bundles.length > 0) onDeleted(answer.deleted_bundles);
    if (answer.lease) jobs.start(answer.lease);
    tasks.apply(answer.tasks);
    if (answer.task_lease) tasks.start(answer.task_lease);
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await sleep(ms, undefined, { signal: AbortSignal.any([signal, this.#wake.signal]) }).catch(() => {});
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
  }
}

/** The edge's reason, in words for the node's operator. */
function whyRefused(error: unknown): string {
  const code = error instanceof AppError ? error.code : undefined;
  if (code === 'invalid_api_key') return "WEFT_NODE_SECRET is not the edge's NODE_SECRET";
  if (code !== 'internal_error') return explain(error);
  return `${explain(error)} The edge's log says more; its database may lack a migration.`;
}

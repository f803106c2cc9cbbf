import { mkdir, rm } from 'node:fs/promises';
import type { HeartbeatResponse } from '../../shared/api/nodes.ts';
import type { RunningTask, TaskLease } from '../../shared/api/tasks.ts';
import { TaskAttempt, type TaskOptions } from './task-attempt.ts';

/** Does the node's tasks, one at a time, beside a training and live traffic. */
export class TaskLoop {
  readonly #options: TaskOptions;
  #current: { task: TaskAttempt; done: Promise<void> } | undefined;

  constructor(options: TaskOptions) {
    this.#options = options;
  }

  /** Removes the remains of a killed daemon. */
  async open(): Promise<void> {
    await rm(this.#options.folder, { recursive: true, force: true, maxRetries: 5 });
    await mkdir(this.#options.folder, { recursive: true });
  }

  get busy(): boolean {
    return this.#current !== undefined;
  }

  start(lease: TaskLease): void {
    const task = new TaskAttempt(lease, this.#options);
    const done = task.run().finally(() => {
      this.#current = undefined;
      this.#options.onChange();
    });
    this.#current = { task, done };
  }

  /** The tasks for the next heartbeat. */
  report(): RunningTask[] {
    const report = this.#current?.task.report();
    return report ? [report] : [];
  }

  /** Applies the edge's answer: a task that is lost or cancelled stops at once. */
  apply(states: HeartbeatResponse['tasks']): void {
    for (const { task_id, state } of states) {
      if (state !== 'ok' && this.#current?.task.id === task_id) this.#current.task.stop(state);
    }
  }

  /** Hands the running task back to the queue; resolves when that is done. */
  async shutdown(): Promise<void> {
    this.#current?.task.stop('shutdown');
    await this.#current?.done;
  }
}

import { createReadStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_INPUTS } from '../../shared/api/inference.ts';
import type { NodeClassifyRequest, NodeClassifyResponse } from '../../shared/api/nodes.ts';
import type { Example } from '../../shared/api/rows.ts';
import { MAX_PART_ROWS, type RunningTask, type TaskLease } from '../../shared/api/tasks.ts';
import { AppError } from '../../shared/errors.ts';
import { readExamples } from '../data/dataset.ts';
import { isDiskFull } from '../disk-full.ts';
import { explain, type Log } from '../log.ts';
import { TASKS } from '../tasks/index.ts';
import type { Answer, TaskWork } from '../tasks/task.ts';
import { type EdgeClient, isTransient } from './edge-client.ts';

/** Milliseconds of work between two parts: what is lost with a node. */
const PART_MS = 15_000;
/** Texts of one request: few enough that the next one is ready while it runs, and that live traffic meets few of them. */
const REQUEST_TEXTS = 64;
/** Requests under way. */
const AHEAD = 2;
/** Times that a request is asked again where the node has no room or is changing its sessions. */
const MAX_TRIES = 120;
const HAND_BACK_MS = 1000;

export type TaskStop = 'lost' | 'cancelled' | 'shutdown';

export interface TaskOptions {
  edge: EdgeClient;
  /** Folder of the tasks' files. */
  folder: string;
  /** Answers rows when nobody waits for other rows. */
  classify(request: NodeClassifyRequest, signal: AbortSignal): Promise<NodeClassifyResponse>;
  log: Log;
  onChange(): void;
}

interface Asked {
  rows: Example[];
  answers: Promise<Answer[][]>;
}

/** One attempt of a task: it fetches the file, asks the models about each row, uploads parts on the way and the result at the end. */
export class TaskAttempt {
  readonly #lease: TaskLease;
  readonly #options: TaskOptions;
  readonly #work: string;
  readonly #abort = new AbortController();
  #stopped: TaskStop | undefined;
  #ending = false;
  #rows = 0;
  #parts: number;
  /** Lines of the next part. */
  #lines: string[] = [];
  #partSince = 0;

  constructor(lease: TaskLease, options: TaskOptions) {
    this.#lease = lease;
    this.#options = options;
    this.#parts = lease.parts;
    this.#work = join(options.folder, `${lease.task_id}-${lease.attempt}`);
  }

  get id(): string {
    return this.#lease.task_id;
  }

  get #held(): { id: string; token: string } {
    return { id: this.id, token: this.#lease.token };
  }

  /** The task's report for a heartbeat; undefined while it is being ended. */
  report(): RunningTask | undefined {
    if (this.#ending) return undefined;
    return { task_id: this.id, token: this.#lease.token, rows_done: this.#rows };
  }

  stop(reason: TaskStop): void {
    if (this.#ending && reason !== 'shutdown') return;
    this.#stopped ??= reason;
    this.#abort.abort(new Error(`task ${this.id}: ${reason}`));
  }

  /** Runs the task. It never rejects: the edge is told of whatever happens, or the lease lapses. */
  async run(): Promise<void> {
    const { log } = this.#options;
    log.info('task leased', { task: this.id, kind: this.#lease.kind, attempt: this.#lease.attempt });
    try {
      await this.#do();
      log.info('task done', { task: this.id, rows: this.#rows });
    } catch (error) {
      await this.#giveUp(error);
    } finally {
      await rm(this.#work, { recursive: true, force: true }).catch((error) => {
        log.warn("a task's folder cannot be removed", { task: this.id, reason: explain(error) });
      });
    }
  }

  async #do(): Promise<void> {
    const { edge } = this.#options;
    const signal = this.#abort.signal;
    const file = join(this.#work, 'rows.jsonl');
    const result = join(this.#work, 'result');
    await mkdir(this.#work, { recursive: true });
    await edge.downloadTaskFile(this.#held, file, signal);
    const work = TASKS[this.#lease.kind](await this.#meetModels());
    const examples = readExamples(file);
    await this.#restore(work, examples);
    this.#partSince = performance.now();
    for await (const { rows, answers } of this.#ask(examples)) {
      for (const [i, ofRow] of (await answers).entries()) this.#lines.push(work.take(rows[i]!, ofRow));
      this.#rows += rows.length;
      await this.#keepPart();
    }
    await work.finish(file, result);
    await edge.uploadTaskResult(this.#held, result, signal);
    this.#ending = true;
    await edge.completeTask(this.id, { token: this.#lease.token, rows: this.#rows }, signal);
  }

  /** Loads the models, and learns their labels. */
  async #meetModels() {
    const { models } = this.#lease;
    const { labels } = await this.#classify(models.map(({ bundle }) => ({ bundle, text: '-' })));
    return models.map(({ ref, bundle }) => ({ ref, labels: labels[bundle]! }));
  }

  /** Takes the rows that earlier attempts did from the parts that they uploaded. */
  async #restore(work: TaskWork, examples: AsyncGenerator<Example>): Promise<void> {
    const part = join(this.#work, 'part');
    for (let number = 0; number < this.#lease.parts; number++) {
      await this.#options.edge.downloadTaskPart(this.#held, number, part, this.#abort.signal);
      for await (const line of createInterface({ input: createReadStream(part) })) {
        const { value, done } = await examples.next();
        if (done) throw new AppError('internal_error', 'the parts have more rows than the file');
        work.restore(value, line);
        this.#rows++;
      }
    }
    if (this.#rows === this.#lease.part_rows) return;
    throw new AppError('internal_error', `the parts have ${this.#rows} rows, not ${this.#lease.part_rows}`);
  }

  /** Asks the models about the rows, a request ahead of the one that is awaited. */
  async *#ask(examples: AsyncGenerator<Example>): AsyncGenerator<Asked> {
    const size = Math.max(1, Math.floor(Math.min(REQUEST_TEXTS, MAX_INPUTS) / this.#lease.models.length));
    const asked: Asked[] = [];
    let rows: Example[] = [];
    const send = () => {
      const answers = this.#answer(rows);
      // Whoever awaits it hears of the error; meanwhile it is not unhandled.
      answers.catch(() => {});
      asked.push({ rows, answers });
      rows = [];
    };
    for await (const row of examples) {
      rows.push(row);
      if (rows.length < size) continue;
      send();
      if (asked.length === AHEAD) yield asked.shift()!;
    }
    if (rows.length > 0) send();
    yield* asked;
  }

  async #answer(rows: readonly Example[]): Promise<Answer[][]> {
    const { models } = this.#lease;
    const texts = rows.flatMap(({ text }) => models.map(({ bundle }) => ({ bundle, text })));
    const answer = await this.#classify(texts);
    return rows.map((_, i) => answer.rows.slice(i * models.length, (i + 1) * models.length));
  }

  async #classify(rows: NodeClassifyRequest['rows']): Promise<NodeClassifyResponse> {
    const signal = this.#abort.signal;
    for (let left = MAX_TRIES; ; left--) {
      try {
        return await this.#options.classify({ rows, tenant: this.#lease.tenant }, signal);
      } catch (error) {
        if (signal.aborted || left === 0 || !isTransient(error)) throw error;
        await sleep(1000 * ((error as AppError).retryAfter ?? 1), undefined, { signal });
      }
    }
  }

  /** Uploads what came of the rows since the last part, once in a while. */
  async #keepPart(): Promise<void> {
    const isDue = performance.now() - this.#partSince >= PART_MS;
    if (!isDue && this.#lines.length < MAX_PART_ROWS - REQUEST_TEXTS) return;
    const part = join(this.#work, 'next-part');
    await writeFile(part, `${this.#lines.join('\n')}\n`);
    const { edge } = this.#options;
    await edge.uploadTaskPart(
      this.#held,
      { number: this.#parts, rows: this.#lines.length, file: part },
      this.#abort.signal,
    );
    this.#parts++;
    this.#lines = [];
    this.#partSince = performance.now();
  }

  async #giveUp(error: unknown): Promise<void> {
    const { edge, log } = this.#options;
    if (this.#stopped === 'lost' || this.#stopped === 'cancelled') {
      log.info('task stopped', { task: this.id, reason: this.#stopped });
      return;
    }
    const handsBack = this.#stopped === 'shutdown';
    const failure = handsBack ? SHUTTING_DOWN : describe(error);
    log.info(handsBack ? 'task goes back to the queue' : 'task failed', {
      task: this.id,
      reason: failure.error.message,
    });
    this.#ending = true;
    try {
      const body = { token: this.#lease.token, ...failure };
      await edge.failTask(this.id, body, handsBack ? AbortSignal.timeout(HAND_BACK_MS) : undefined);
    } catch (cause) {
      log.warn('the edge was not told; the lease will lapse', { task: this.id, reason: explain(cause) });
    }
  }
}

/** The error of a task that is handed back, which costs no attempt. */
const SHUTTING_DOWN = {
  error: { code: 'shutting_down', message: 'the node is shutting down' },
  retryable: true,
};

function describe(error: unknown): { error: { code: string; message: string }; retryable: boolean } {
  if (error instanceof AppError) {
    return { error: { code: error.code, message: error.message }, retryable: error.status >= 500 };
  }
  const [code, message] = isDiskFull(error)
    ? ['no_capacity', "the disk under the node's WEFT_HOME is full"]
    : ['internal_error', 'the node could not do the task'];
  return { error: { code, message }, retryable: true };
}

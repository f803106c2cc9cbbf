import { type MessagePort, parentPort, Worker } from 'node:worker_threads';
import { AppError, ERROR_STATUS, type ErrorCode } from '../../shared/errors.ts';
import { explain } from '../log.ts';

/** Functions of a worker, by name, each with one argument. */
export type Handlers = Record<string, (argument: never) => unknown>;
type ArgumentOf<H extends Handlers, N extends keyof H> = Parameters<H[N]>[0];
type Unmoved<R> = R extends Moved<infer Result> ? Result : R;
type ResultOf<H extends Handlers, N extends keyof H> = Unmoved<Awaited<ReturnType<H[N]>>>;

/** A handler's result whose buffers are transferred to the caller instead of copied. */
export class Moved<R> {
  readonly result: R;
  readonly buffers: readonly ArrayBuffer[];

  constructor(result: R, buffers: readonly ArrayBuffer[]) {
    this.result = result;
    this.buffers = buffers;
  }
}

interface Call {
  id: number;
  name: string;
  argument: unknown;
}

type Answer =
  | { id: number; result: unknown }
  | { id: number; error: { message: string; code: ErrorCode | undefined } };

const STOP = 'stop';
/** MB for a worker's short-lived objects: it makes few, and V8's default is larger (docs/operations.md). */
const YOUNG_MB = 6;
/**
 * MB for long-lived objects. With a large limit V8 lets them grow to four times the live ones before it collects; with this one by a third.
 */
const OLD_MB = 512;

/**
 * A worker thread that answers calls one after another, in the order of the calls. A message stops it, never `terminate()`: that would
 * abort the whole process if a session is running.
 */
export class WorkerThread<H extends Handlers> {
  readonly #worker: Worker;
  readonly #pending = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  readonly #exited: Promise<void>;
  #calls = 0;
  #dead: Error | undefined;

  /** `entry` is a module that calls `serveCalls`. `onDeath` hears of an unexpected end. */
  constructor(entry: URL, workerData: unknown, onDeath: (error: Error) => void) {
    this.#worker = new Worker(entry, {
      workerData,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB, maxOldGenerationSizeMb: OLD_MB },
    });
    this.#worker.on('message', (answer: Answer) => this.#settle(answer));
    this.#worker.on('error', (error) => this.#die(error, onDeath));
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#die(new Error(`a worker thread ended with code ${code}`), onDeath);
        resolve();
      });
    });
  }

  call<N extends keyof H & string>(name: N, argument: ArgumentOf<H, N>): Promise<ResultOf<H, N>> {
    if (this.#dead) return Promise.reject(this.#dead);
    const id = this.#calls++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#worker.postMessage({ id, name, argument } satisfies Call);
    });
  }

  /** Lets the current calls end, then the worker; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#dead ??= new AppError('shutting_down', 'the node is shutting down');
    this.#worker.postMessage(STOP);
    await this.#exited;
  }

  #settle(answer: Answer): void {
    const call = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if ('result' in answer) call?.resolve(answer.result);
    else if (answer.error.code) call?.reject(new AppError(answer.error.code, answer.error.message));
    else call?.reject(new Error(answer.error.message));
  }

  #die(error: Error, onDeath: (error: Error) => void): void {
    const unexpected = this.#dead === undefined;
    this.#dead ??= error;
    for (const { reject } of this.#pending.values()) reject(this.#dead);
    this.#pending.clear();
    if (unexpected) onDeath(error);
  }
}

/** A worker thread that is restarted after an unexpected end; its pending calls fail. */
export class LastingWorker<H extends Handlers> {
  readonly #start: () => WorkerThread<H>;
  #worker: WorkerThread<H>;
  #stopping = false;

  /** The parameters are those of `WorkerThread`. */
  constructor(entry: URL, workerData: unknown, onDeath: (error: Error) => void) {
    this.#start = () =>
      new WorkerThread<H>(entry, workerData, (error) => {
        onDeath(error);
        if (!this.#stopping) this.#worker = this.#start();
      });
    this.#worker = this.#start();
  }

  call<N extends keyof H & string>(name: N, argument: ArgumentOf<H, N>): Promise<ResultOf<H, N>> {
    return this.#worker.call(name, argument);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#worker.stop();
  }
}

/** The worker's side: it answers each call by the handler of its name, and ends after `close` when told to stop. */
export function serveCalls(handlers: Handlers, close: () => Promise<void> = async () => {}): void {
  const port = parentPort;
  if (!port) throw new Error('this module runs in a worker thread only');
  let last: Promise<unknown> = Promise.resolve();
  port.on('message', (message: Call | typeof STOP) => {
    last = last.then(async () => {
      if (message !== STOP) return send(port, await answer(handlers, message));
      await close();
      port.close();
    });
  });
}

function send(port: MessagePort, answer: Answer): void {
  if ('result' in answer && answer.result instanceof Moved) {
    const { result, buffers } = answer.result;
    port.postMessage({ ...answer, result }, buffers);
  } else port.postMessage(answer);
}

async function answer(handlers: Handlers, { id, name, argument }: Call): Promise<Answer> {
  try {
    return { id, result: await handlers[name]!(argument as never) };
  } catch (error) {
    const code = error instanceof AppError && error.code in ERROR_STATUS ? error.code : undefined;
    return { id, error: { code, message: code ? (error as AppError).message : explain(error) } };
  }
}

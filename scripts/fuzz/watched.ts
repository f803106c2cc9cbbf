import { Worker } from 'node:worker_threads';
import { MAX_CHOICES } from './choices.ts';
import type { Finding } from './engine.ts';

const ENTRY = new URL('./worker.ts', import.meta.url);
/** Milliseconds after which an input counts as hanging, on however busy a machine. */
const HANG_MS = 120_000;
const LOOK_MS = 500;
const HEAP_MB = 1024;

export interface WorkerInput {
  target: string;
  seed: number;
  milliseconds: number;
  /** Counter of inputs. */
  clock: Int32Array;
  /** The choices of the input under way. */
  record: Uint32Array;
}

export type FromWorker =
  | { type: 'finding'; finding: Finding }
  | { type: 'done'; inputs: number; blocks: number };

export interface Result {
  inputs: number;
  /** Number of blocks of the project's code that ran. */
  blocks: number;
}

/**
 * Fuzzes a target in a thread for a given time. A thread that hangs or runs out of memory is ended: its current input is the finding, and
 * there is no result.
 */
export async function fuzzWatched(
  target: string,
  seed: number,
  milliseconds: number,
  onFinding: (finding: Finding) => void,
): Promise<Result | undefined> {
  const clock = new Int32Array(new SharedArrayBuffer(4));
  const record = new Uint32Array(new SharedArrayBuffer(4 * MAX_CHOICES));
  const workerData: WorkerInput = { target, seed, milliseconds, clock, record };
  const worker = new Worker(ENTRY, { workerData, resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } });
  const { promise, resolve } = Promise.withResolvers<Result | undefined>();
  const fail = (message: string) => {
    onFinding({
      message,
      choices: Array.from(record.subarray(0, record.findLastIndex((each) => each > 0) + 1)),
    });
    resolve(undefined);
  };
  worker.on('message', (message: FromWorker) => {
    if (message.type === 'finding') onFinding(message.finding);
    else resolve(message);
  });
  worker.on('error', (error) => fail(`the thread ended: ${error.stack ?? error.message}`));
  let [count, since] = [0, performance.now()];
  const watch = setInterval(() => {
    const now = Atomics.load(clock, 0);
    if (now !== count) [count, since] = [now, performance.now()];
    else if (performance.now() - since > HANG_MS) fail(`an input takes more than ${HANG_MS / 1000} s`);
  }, LOOK_MS);
  const result = await promise;
  clearInterval(watch);
  await worker.terminate();
  return result;
}

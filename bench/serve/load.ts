import { join } from 'node:path';
import { LineProcess } from '../line-process.ts';
import type { Served } from './daemon.ts';

/** Requests that a process of its own sends. */
export interface Load extends Served {
  /** JSON bodies, one per request. */
  readonly bodies: readonly string[];
  /** Most requests under way at once. */
  readonly connections: number;
  /** Milliseconds between requests; without it the next is sent when one is answered. */
  readonly everyMs?: number;
}

export interface LoadResult {
  /** Milliseconds from the first request to the last answer. */
  readonly ms: number;
  /** Milliseconds of each answered request, in order of the answers. */
  readonly latencies: readonly number[];
}

/** Sends requests over kept connections. */
export class LoadProcess implements AsyncDisposable {
  readonly #process: LineProcess;

  private constructor(process: LineProcess) {
    this.#process = process;
  }

  static async start(): Promise<LoadProcess> {
    return new LoadProcess(
      await LineProcess.start([process.execPath, join(import.meta.dirname, 'load-process.ts')], {}),
    );
  }

  /** Sends all requests and waits for the answers. @throws where an answer is not 200 */
  async run(load: Load): Promise<LoadResult> {
    return resultOf(await this.#process.ask<LoadAnswer>(load));
  }

  /** Sends requests until `end` is called, which waits for the answers under way. */
  begin(load: Load): { end(): Promise<LoadResult> } {
    const answer = this.#process.ask<LoadAnswer>(load);
    return {
      end: async () => {
        this.#process.send('end');
        return resultOf(await answer);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
  }
}

export type LoadAnswer = LoadResult | { failed: string };

function resultOf(answer: LoadAnswer): LoadResult {
  if ('failed' in answer) throw new Error(answer.failed);
  return answer;
}

import { rename } from 'node:fs/promises';

export interface CheckpointUploadsOptions {
  /** The file to which training writes its newest state. */
  file: string;
  /** Sends a file that nothing else writes. */
  upload(file: string, signal: AbortSignal): Promise<void>;
  onFailure(error: unknown): void;
}

/** Sends a job's saved states while it trains: one at a time, always the newest that waits. */
export class CheckpointUploads {
  readonly #options: CheckpointUploadsOptions;
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;
  #another = false;
  #failed = false;

  constructor(options: CheckpointUploadsOptions) {
    this.#options = options;
  }

  /** Tells that the file holds a new state. */
  offer(): void {
    this.#another = true;
    this.#running ??= this.#run();
  }

  /** Sends the last state, if any, and gives up after `limit` milliseconds. */
  async finish(limit: number): Promise<void> {
    const timer = setTimeout(() => {
      this.stop();
      this.#options.onFailure(new Error('it takes too long'));
    }, limit);
    this.offer();
    await this.#running;
    clearTimeout(timer);
  }

  /** Stops sending: the states are of no use any more. */
  stop(): void {
    this.#abort.abort(new Error('the upload is of no use any more'));
  }

  async #run(): Promise<void> {
    const { file, upload, onFailure } = this.#options;
    const { signal } = this.#abort;
    while (this.#another && !signal.aborted) {
      this.#another = false;
      try {
        // The file is sent under another name, so that the next state does not replace it meanwhile.
        if (!(await takeAway(file, `${file}.sent`))) continue;
        await upload(`${file}.sent`, signal);
        this.#failed = false;
      } catch (error) {
        if (!signal.aborted && !this.#failed) onFailure(error);
        this.#failed = true;
      }
    }
    this.#running = undefined;
  }
}

/** Renames a file; false if there is none. */
async function takeAway(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

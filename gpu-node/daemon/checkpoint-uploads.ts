import { rename } from 'node:fs/promises';

export interface CheckpointUploadsOptions {
  /** Where training leaves its newest state. */
  file: string;
  /** Sends a file that nothing else writes. */
  upload(file: string, signal: AbortSignal): Promise<void>;
  onFailure(error: unknown): void;
}

/** Sends a job's saved states while it trains: one at a time, of those that wait the newest. */
export class CheckpointUploads {
  readonly #options: CheckpointUploadsOptions;
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;
  #another = false;
  #failed = false;

  constructor(options: CheckpointUploadsOptions) {
    this.#options = options;
  }

  /** There is a new state in the file. */
  offer(): void {
    this.#another = true;
    this.#running ??= this.#run();
  }

  /** Sends the last state there is, and gives up after so many milliseconds. */
  async finish(limit: number): Promise<void> {
    const timer = setTimeout(() => {
      this.stop();
      this.#options.onFailure(new Error('it takes too long'));
    }, limit);
    this.offer();
    await this.#running;
    clearTimeout(timer);
  }

  /** Whatever is under way is of no use any more. */
  stop(): void {
    this.#abort.abort(new Error('the upload is of no use any more'));
  }

  async #run(): Promise<void> {
    const { file, upload, onFailure } = this.#options;
    const { signal } = this.#abort;
    while (this.#another && !signal.aborted) {
      this.#another = false;
      try {
        // Under a name of its own, which the next state does not replace meanwhile.
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

/** Renames a file; false where there is none. */
async function takeAway(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

import { Session } from 'node:inspector';
import { fileURLToPath } from 'node:url';

const OWN = /^file:.*\/(?:edge|gpu-node|shared)\//;

/**
 * Tracks which blocks of the project's own code have run, as V8 reports them. V8 reports each block once, when it first runs, so that
 * asking costs little. It sees only the thread that it is made in.
 */
export class Coverage {
  readonly #session = new Session();
  readonly #seen = new Set<string>();

  constructor() {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true });
  }

  /** Number of blocks seen so far. */
  get blocks(): number {
    return this.#seen.size;
  }

  /** The files of these blocks. */
  get files(): string[] {
    return [
      ...new Set([...this.#seen].map((block) => fileURLToPath(block.slice(0, block.lastIndexOf('#'))))),
    ];
  }

  /** True if a block has run for the first time since the last call. */
  reachedNew(): boolean {
    const before = this.#seen.size;
    this.#session.post('Profiler.takePreciseCoverage', (_error, { result }) => {
      for (const { url, functions } of result.filter(({ url }) => OWN.test(url))) {
        for (const { startOffset, endOffset, count } of functions.flatMap(({ ranges }) => ranges)) {
          if (count > 0) this.#seen.add(`${url}#${startOffset}-${endOffset}`);
        }
      }
    });
    return this.#seen.size > before;
  }
}

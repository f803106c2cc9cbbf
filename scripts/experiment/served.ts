import { createHash } from 'node:crypto';
import { createLog } from '../../gpu-node/log.ts';
import { Classifier } from '../../gpu-node/serve/classifier.ts';
import { copyBundle } from '../../gpu-node/weights/bundle-files.ts';
import { type BundleManifest, canonicalManifest } from '../../shared/adapter-format.ts';
import type { Job } from './engine.ts';

const CACHE_BYTES = 2 ** 30;
const TIMED_TEXTS = 33;
const LIMITS = {
  slots: 8,
  batchTokens: 4096,
  queueTokens: Number.MAX_SAFE_INTEGER,
  memoryBytes: CACHE_BYTES,
  sessionBytes: CACHE_BYTES,
};

/** Scores of texts: one row per text, in the order of the labels. */
export interface Scored {
  readonly labels: readonly string[];
  readonly scores: readonly (readonly number[])[];
  /** Median milliseconds to answer one of them alone, with everything loaded. */
  readonly milliseconds: number;
}

/** The node's serving over adapters in folders: it gives the answers that a client of the platform would get. */
export class ServedAdapters {
  readonly #classifier: Classifier;
  readonly #folders: Map<string, string>;

  private constructor(classifier: Classifier, folders: Map<string, string>) {
    this.#classifier = classifier;
    this.#folders = folders;
  }

  static async open({ base, device, threads }: Job, cache: string): Promise<ServedAdapters> {
    const log = createLog(process.stderr, true);
    const folders = new Map<string, string>();
    const source = {
      downloadAdapter: (bundle: string, folder: string) => copyBundle(folders.get(bundle)!, folder),
    };
    const options = {
      bases: [base],
      cache: { folder: cache, maxBytes: CACHE_BYTES, source },
      device,
      threads,
    };
    return new ServedAdapters(await Classifier.open({ ...options, ...LIMITS, log }), folders);
  }

  /** Classifies texts by the adapter whose files lie in the job's folder. */
  async classify({ folder, data, signal }: Job, manifest: BundleManifest): Promise<Scored> {
    const bundle = createHash('sha256').update(canonicalManifest(manifest)).digest('hex');
    this.#folders.set(bundle, folder);
    try {
      const rows = data.test.rows.map(({ text }) => ({ bundle, text }));
      const answer = await this.#classifier.classify({ rows }, signal);
      return {
        labels: answer.labels[bundle]!,
        scores: answer.rows.map(({ scores }) => scores),
        milliseconds: await this.#timeAlone(rows.slice(0, TIMED_TEXTS), signal),
      };
    } finally {
      this.#folders.delete(bundle);
      await this.#classifier.evict([bundle]);
    }
  }

  async #timeAlone(rows: readonly { bundle: string; text: string }[], signal: AbortSignal): Promise<number> {
    const times: number[] = [];
    for (const row of rows) {
      const start = performance.now();
      await this.#classifier.classify({ rows: [row] }, signal);
      times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b)[times.length >> 1]!;
  }

  async stop(): Promise<void> {
    await this.#classifier.stop();
  }
}

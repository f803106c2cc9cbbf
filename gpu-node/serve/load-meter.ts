import type { NodeLoad } from '../../shared/api/nodes.ts';
import type { NodeSamples } from './metrics.ts';
import type { Histogram } from './prometheus.ts';

/** Least milliseconds that rates are taken over, so that a quiet moment is none. */
const WINDOW_MS = 10_000;

type Measured = Pick<
  NodeSamples,
  | 'answer_seconds'
  | 'batch_adapters'
  | 'batch_fill_ratio'
  | 'classify_rows_total'
  | 'queue_rows'
  | 'adapters_resident'
>;

/** The counts at one time. */
interface Snapshot {
  readonly at: number;
  readonly rows: number;
  /** Answers up to each bound of the histogram. */
  readonly answers: readonly number[];
  readonly batches: number;
  readonly fill: number;
  readonly mixed: number;
}

/** What a node has done in its last 10 to 20 seconds, from its counts since its start. */
export class LoadMeter {
  readonly #samples: () => Measured;
  readonly #now: () => number;
  /** The start of the window, and of the next one. */
  #since: Snapshot;
  #next: Snapshot;

  /** @param now milliseconds of a clock that never goes back */
  constructor(samples: () => Measured, now: () => number = () => performance.now()) {
    this.#samples = samples;
    this.#now = now;
    this.#since = this.#next = this.#take(samples());
  }

  read(): NodeLoad {
    const samples = this.#samples();
    const current = this.#take(samples);
    if (current.at - this.#next.at >= WINDOW_MS) [this.#since, this.#next] = [this.#next, current];
    const since = this.#since;
    const seconds = Math.max(current.at - since.at, 1) / 1000;
    const answers = current.answers.map((count, i) => count - since.answers[i]!);
    const batches = current.batches - since.batches;
    const { slot = 0, memory = 0, disk = 0 } = samples.adapters_resident;
    const { bounds } = samples.answer_seconds;
    return {
      requests_per_second: answers.at(-1)! / seconds,
      texts_per_second: (current.rows - since.rows) / seconds,
      p50_ms: quantile(0.5, bounds, answers),
      p99_ms: quantile(0.99, bounds, answers),
      batch_fill: batches > 0 ? (current.fill - since.fill) / batches : null,
      batch_adapters: batches > 0 ? (current.mixed - since.mixed) / batches : null,
      queue: samples.queue_rows,
      resident: { slot, memory, disk },
    };
  }

  #take({ answer_seconds, batch_adapters, batch_fill_ratio, classify_rows_total }: Measured): Snapshot {
    const total = (histogram: Histogram) => histogram.cumulative.at(-1)!;
    return {
      at: this.#now(),
      rows: classify_rows_total,
      answers: answer_seconds.cumulative,
      batches: total(batch_fill_ratio),
      fill: batch_fill_ratio.sum,
      mixed: batch_adapters.sum,
    };
  }
}

/**
 * A quantile in milliseconds from counts up to each bound, as Prometheus estimates it: evenly spread between two bounds. Null for no values;
 * what lies above all bounds counts as the last.
 */
function quantile(share: number, bounds: readonly number[], cumulative: readonly number[]): number | null {
  const all = cumulative.at(-1)!;
  if (all === 0) return null;
  const rank = share * all;
  const at = cumulative.findIndex((count) => count >= rank);
  if (at >= bounds.length) return 1000 * bounds.at(-1)!;
  const [low, below] = at === 0 ? [0, 0] : [bounds[at - 1]!, cumulative[at - 1]!];
  const inBin = cumulative[at]! - below;
  return 1000 * (low + ((bounds[at]! - low) * (rank - below)) / inBin);
}

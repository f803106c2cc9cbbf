/** A row waiting to be run. */
export interface QueuedRow {
  /** Rows of different groups never share a run: each has a session of its own. */
  readonly group: string;
  readonly adapter: string;
  /** Tokens, padding not counted. */
  readonly length: number;
  /** True once nobody waits for the answer. */
  abandoned(): boolean;
}

export interface BatchLimits {
  /** Padded tokens (rows times the longest row) of one batch. A single longer row still runs, alone. */
  tokens: number;
  /** Distinct adapters of one batch. */
  adapters: number;
}

/**
 * A row joins a batch only where that adds at most this many tokens of padding: about what a run of its own would cost
 * more.
 */
const MAX_ADDED_PADDING = 128;

/**
 * Rows in order of arrival, handed out as batches of similar length. The oldest row is in every batch, so that none
 * starves; the rows nearest to it in length join it while the padded size stays in bounds
 * (text-embeddings-inference's token budget, `core/src/queue.rs`, plus the rule on padding).
 */
export class Batcher<Row extends QueuedRow> {
  readonly #limits: BatchLimits;
  readonly #groups = new Map<string, Row[]>();

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  add(row: Row): void {
    const rows = this.#groups.get(row.group);
    if (rows) rows.push(row);
    else this.#groups.set(row.group, [row]);
  }

  /** Rows waiting, abandoned ones included until their turn comes. */
  get size(): number {
    let size = 0;
    for (const rows of this.#groups.values()) size += rows.length;
    return size;
  }

  /** Takes the next batch of a group, in order of arrival; empty where nothing waits. */
  take(group: string): Row[] {
    const waiting = (this.#groups.get(group) ?? []).filter((row) => !row.abandoned());
    const batch = this.#choose(waiting);
    const rest = waiting.filter((row) => !batch.has(row));
    if (rest.length > 0) this.#groups.set(group, rest);
    else this.#groups.delete(group);
    return waiting.filter((row) => batch.has(row));
  }

  #choose(waiting: readonly Row[]): Set<Row> {
    const oldest = waiting[0];
    if (!oldest) return new Set();
    const batch = new Set([oldest]);
    const adapters = new Set([oldest.adapter]);
    let longest = oldest.length;
    for (const row of byDistance(waiting.slice(1), oldest.length)) {
      const longestThen = Math.max(longest, row.length);
      const padded = (batch.size + 1) * longestThen;
      if (padded > this.#limits.tokens) continue;
      if (padded - batch.size * longest - row.length > MAX_ADDED_PADDING) continue;
      if (!adapters.has(row.adapter) && adapters.size >= this.#limits.adapters) continue;
      batch.add(row);
      adapters.add(row.adapter);
      longest = longestThen;
    }
    return batch;
  }
}

/** Stable: of rows equally near, the older comes first. */
function byDistance<Row extends QueuedRow>(rows: Row[], length: number): Row[] {
  return rows.sort((a, b) => Math.abs(a.length - length) - Math.abs(b.length - length));
}

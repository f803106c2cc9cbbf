import type { NodeClassifyRequest, NodeClassifyResponse } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import { softmax } from '../../shared/metrics.ts';
import { withPlaceholders } from '../data/placeholders.ts';
import type { Adapters, SeatedAdapter } from './adapters.ts';
import type { Ticket } from './admission.ts';
import { unlessAborted } from './deadline.ts';
import type { RowResult } from './group.ts';
import type { Timing } from './metrics.ts';
import { type SessionPool, SessionsInUse } from './session-pool.ts';
import type { Tokenizing } from './tokenizing.ts';

type Row = NodeClassifyRequest['rows'][number];
type Answer = NodeClassifyResponse['rows'][number];
type Seated = ReadonlyMap<string, SeatedAdapter>;

export interface ClassificationOptions {
  rows: readonly Row[];
  tenant: string;
  /** The request's place in the queue, and each row's estimate there. */
  ticket: Ticket;
  estimates: readonly number[];
  /** True where nobody waits for the answer. */
  background: boolean;
  adapters: Adapters;
  tokenizing: Tokenizing;
  pool: SessionPool;
}

/** One request in progress. Its rows run in one turn, unless their adapters need more sessions than fit at once. */
export class Classification {
  /** Number of tokens of the texts that were run. */
  tokensRun = 0;
  readonly #options: ClassificationOptions;
  readonly #labels: Record<string, string[]> = {};
  readonly #answers: Answer[];
  readonly #timing: Timing = { load: 0, tokenize: 0, queue: 0, run: 0 };

  constructor(options: ClassificationOptions) {
    this.#options = options;
    this.#answers = new Array(options.rows.length);
  }

  /**
   * Scores of every row, in the caller's order.
   * @throws {AppError} as `Adapters.seat` does, `param` naming the first row at fault; or the signal's reason
   */
  async answer(signal: AbortSignal): Promise<NodeClassifyResponse & { timing: Timing }> {
    const left = new Set(this.#options.rows.map(({ bundle }) => bundle));
    while (left.size > 0) {
      const start = performance.now();
      const seated = await this.#seatSome([...left], signal);
      this.#timing.load += performance.now() - start;
      try {
        signal.throwIfAborted();
        await this.#run(seated, signal);
      } finally {
        for (const { release } of seated.values()) release();
      }
      for (const bundle of seated.keys()) left.delete(bundle);
    }
    return { labels: this.#labels, rows: this.#answers, timing: this.#timing };
  }

  /**
   * Seats as many of the adapters as there are sessions for at once, at least one. While it waits for a session it holds none, so that no
   * two requests wait for each other.
   */
  async #seatSome(bundles: readonly string[], signal: AbortSignal): Promise<Seated> {
    let { seated, refused } = await this.#seatAll(bundles, signal);
    while (seated.size === 0) {
      const hold = await this.#options.pool.wait(refused!.sort, signal);
      try {
        ({ seated, refused } = await this.#seatAll(bundles, signal));
      } finally {
        hold.release();
      }
    }
    return seated;
  }

  /** Loads missing adapters, all at once, and holds those that have sessions until they are released. */
  async #seatAll(
    bundles: readonly string[],
    signal: AbortSignal,
  ): Promise<{ seated: Seated; refused: SessionsInUse | undefined }> {
    const { rows, adapters } = this.#options;
    const results = await Promise.allSettled(bundles.map((bundle) => adapters.seat(bundle, signal)));
    const seated = new Map<string, SeatedAdapter>();
    let refused: SessionsInUse | undefined;
    let failed: { bundle: string; reason: unknown } | undefined;
    for (const [i, result] of results.entries()) {
      const bundle = bundles[i]!;
      if (result.status === 'fulfilled') seated.set(bundle, result.value);
      else if (result.reason instanceof SessionsInUse) refused ??= result.reason;
      else failed ??= { bundle, reason: result.reason };
    }
    if (!failed) return { seated, refused };
    for (const { release } of seated.values()) release();
    const { bundle, reason } = failed;
    if (reason === signal.reason) throw reason;
    throw atRow(
      reason,
      rows.findIndex((row) => row.bundle === bundle),
    );
  }

  /** Runs the rows of the seated adapters. */
  async #run(seated: Seated, signal: AbortSignal): Promise<void> {
    const { rows, tenant, ticket, estimates, tokenizing, background } = this.#options;
    const turn = [...rows.keys()].filter((row) => seated.has(rows[row]!.bundle));
    const adapters = turn.map((row) => seated.get(rows[row]!.bundle)!);
    const texts = turn.map((row, i) => {
      const { base, maxLength } = adapters[i]!.adapter;
      return { base, text: rows[row]!.text, maxLength };
    });
    const start = performance.now();
    const tokens = await unlessAborted(tokenizing.tokenize(tenant, texts, signal), signal);
    this.#timing.tokenize += performance.now() - start;
    const rowsIds = tokens.map(({ ids }, i) => withPlaceholders(adapters[i]!.adapter.placeholders, ids));
    const exact = rowsIds.reduce((sum, ids) => sum + ids.length, 0);
    const estimated = turn.reduce((sum, row) => sum + estimates[row]!, 0);
    ticket.correct(ticket.tokens - estimated + exact);
    const submitted = rowsIds.map(async (ids, i) => {
      const result = await adapters[i]!.submit({ tenant, ids, background }, signal);
      this.tokensRun += ids.length;
      return result;
    });
    const results = await unlessAborted(Promise.all(submitted), signal);
    this.#timing.queue += longest(results, 'queue');
    this.#timing.run += longest(results, 'run');
    for (const [i, { logits }] of results.entries()) {
      const { ids, truncated } = tokens[i]!;
      const scores = scoresOf(logits, adapters[i]!.adapter.temperature, turn[i]!);
      this.#answers[turn[i]!] = { scores, tokens: ids.length, truncated };
    }
    for (const [bundle, { adapter }] of seated) this.#labels[bundle] = [...adapter.labels];
  }
}

/**
 * Scores of one row. @throws {AppError} naming the row if its adapter's weights, although finite, give scores that are not: JSON has no NaN
 */
function scoresOf(logits: Float32Array, temperature: number, row: number): number[] {
  const scores = softmax(logits, temperature);
  if (scores.every(Number.isFinite)) return scores;
  const message = 'the weights of the adapter are so large that its scores of this text are no numbers';
  throw atRow(new AppError('invalid_adapter', message), row);
}

function longest(results: readonly RowResult[], part: 'queue' | 'run'): number {
  return Math.max(...results.map((result) => result[part]));
}

/** Makes an error name the row of the request that it is about. */
function atRow(error: unknown, row: number): unknown {
  if (!(error instanceof AppError)) return error;
  const { code, message, retryAfter } = error;
  return new AppError(code, message, {
    param: `rows.${row}.bundle`,
    cause: error.cause,
    ...(retryAfter !== undefined && { retryAfter }),
  });
}

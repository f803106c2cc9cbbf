import type { AdapterTier, NodeClassifyRequest, NodeClassifyResponse } from '../../shared/api/nodes.ts';
import type { AppError } from '../../shared/errors.ts';
import { explain, type Log } from '../log.ts';
import { type BaseModelOutline, type BaseModelSource, outlineBaseModel } from '../models/open-base-model.ts';
import type { Device } from '../runtime/device.ts';
import { AdapterMemory } from './adapter-memory.ts';
import { AdapterStore, type AdapterStoreOptions } from './adapter-store.ts';
import { Adapters } from './adapters.ts';
import { Admission, estimateTokens, type Ticket } from './admission.ts';
import { BundleChecker } from './bundle-checker.ts';
import type { CheckedAdapter } from './check-worker.ts';
import { Classification } from './classification.ts';
import { DeadlinePassed, deadlineProblem, within } from './deadline.ts';
import { laneBytes, lanesOf } from './lanes.ts';
import { type NodeSamples, ServeMetrics } from './metrics.ts';
import type { SessionGroup } from './session-group.ts';
import { SessionPool } from './session-pool.ts';
import { Tokenizing } from './tokenizing.ts';

/** Tenant of texts that come without one; no real tenant has an empty name. */
const ANONYMOUS = '';
/** Ending of the name under which a tenant's work in the background waits; no real tenant has a blank in its name. */
const BACKGROUND = '(background)';

export interface ClassifierOptions {
  /** Base models with distinct ids. */
  bases: readonly BaseModelSource[];
  /** Adapters on disk: their folder, their most bytes, and the source of missing ones. */
  cache: Pick<AdapterStoreOptions<unknown>, 'folder' | 'maxBytes' | 'source'>;
  device: Device;
  threads: number;
  /** Most adapters in one run. */
  slots: number;
  /** Padded tokens of one run; undefined leaves the number to the precision. */
  batchTokens: number | undefined;
  /** Most tokens of waiting texts. */
  queueTokens: number;
  /** Most bytes of adapters in memory, besides those in slots. */
  memoryBytes: number;
  /** Most bytes of all sessions, with the adapters in their slots. One group of adapters is served however much it takes. */
  sessionBytes: number;
  log: Log;
}

/** Part of the sessions' bytes that the stacks of one group may take. */
const STACKS_PART = 1 / 2;

type Row = NodeClassifyRequest['rows'][number];

/** Answers classifications: it loads adapters, tokenizes, batches across requests and runs, all off the calling thread. */
export class Classifier {
  readonly metrics: ServeMetrics;
  /** The adapters on disk. */
  readonly store: AdapterStore<CheckedAdapter | AppError>;
  readonly #checker: BundleChecker;
  readonly #admission: Admission;
  readonly #adapters: Adapters;
  readonly #tokenizing: Tokenizing;
  readonly #pool: SessionPool;

  private constructor(
    options: ClassifierOptions,
    outlines: ReadonlyMap<string, BaseModelOutline>,
    checker: BundleChecker,
    store: AdapterStore<CheckedAdapter | AppError>,
  ) {
    const { bases, slots, device, threads, batchTokens, queueTokens, memoryBytes, sessionBytes, log } =
      options;
    const memory = new AdapterMemory(memoryBytes);
    const lanes = lanesOf(device, threads);
    const stackBytes = (STACKS_PART * sessionBytes) / lanes.count;
    this.metrics = new ServeMetrics(lanes.count);
    this.store = store;
    this.#checker = checker;
    this.#admission = new Admission(queueTokens);
    this.#pool = new SessionPool({
      bases: new Map(bases.map((base) => [base.id, base])),
      cache: options.cache.folder,
      worker: { memory: memory.buffer, slots, stackBytes, device, threads: lanes.threads },
      lanes: lanes.count,
      runTokens: (precision) => batchTokens ?? lanes.runTokens(precision),
      maxBytes: sessionBytes,
      laneBytes: ({ base, precision }) => laneBytes(outlines.get(base)!.architecture, precision),
      layers: (base) => outlines.get(base)!.architecture.linears('mean').length,
      onRun: (report) => this.metrics.ran(report),
      onFailure: (error) => log.error('a serving worker ended', { reason: explain(error) }),
    });
    this.#adapters = new Adapters({
      store,
      pool: this.#pool,
      memory,
      metrics: this.metrics,
      log,
    });
    this.#tokenizing = new Tokenizing(bases, (error) => {
      log.error('the tokenizing worker ended', { reason: explain(error) });
    });
  }

  /** Finds the adapters on disk and starts the threads. */
  static async open(options: ClassifierOptions): Promise<Classifier> {
    const { bases, cache, log } = options;
    const outlines = new Map<string, BaseModelOutline>();
    for (const base of bases) outlines.set(base.id, await outlineBaseModel(base));
    const checker = new BundleChecker(bases, log);
    const read = (folder: string) => checker.read(folder);
    const store = await AdapterStore.open({ ...cache, read, log });
    return new Classifier(options, outlines, checker, store);
  }

  /**
   * Builds a session before anybody asks for it: for the adapter on disk that was used last, or for `usual` if there is none.
   * @throws {AppError} naming a base model whose files cannot be used, even if the session is of another
   */
  async prepare(usual: SessionGroup): Promise<void> {
    await Promise.all([this.#tokenizing.ready(), this.#checker.ready()]);
    const { lastUsed } = this.store;
    if (lastUsed === undefined || !(await this.#adapters.tryLoad(lastUsed))) {
      (await this.#pool.open(usual)).release();
    }
  }

  /** Number of texts that wait for an answer. */
  get queue(): number {
    return this.#admission.rows;
  }

  /** Number of adapters in memory. */
  get resident(): number {
    return this.#adapters.size;
  }

  get sessions(): number {
    return this.#pool.sessions;
  }

  /**
   * Scores of every row, in the caller's order, on the base model and precision that its adapter was trained on.
   * @throws {AppError} `rate_limited` if the queue is full, `adapter_not_found`, `invalid_adapter`, `model_not_found`, and after the
   * caller's deadline the error of `deadlineProblem`; `param` names the first row at fault. The signal's reason if it was aborted.
   */
  classify(request: NodeClassifyRequest, signal: AbortSignal): Promise<NodeClassifyResponse> {
    return this.#classify(request, request.tenant ?? ANONYMOUS, false, signal);
  }

  /**
   * The same for work that nobody waits for: its rows run when no others wait for their sessions, and they take nothing of their tenant's
   * place in the queue.
   */
  classifyInBackground(request: NodeClassifyRequest, signal: AbortSignal): Promise<NodeClassifyResponse> {
    return this.#classify(request, `${request.tenant ?? ANONYMOUS} ${BACKGROUND}`, true, signal);
  }

  async #classify(
    request: NodeClassifyRequest,
    tenant: string,
    background: boolean,
    signal: AbortSignal,
  ): Promise<NodeClassifyResponse> {
    const { rows, deadline_ms } = request;
    this.metrics.requests++;
    const started = performance.now();
    const estimates = rows.map(({ bundle, text }) => estimateTokens(text, this.#adapters.get(bundle)));
    const ticket = this.#enter(tenant, rows, estimates);
    const parts = { adapters: this.#adapters, tokenizing: this.#tokenizing, pool: this.#pool };
    const classification = new Classification({ rows, tenant, ticket, estimates, background, ...parts });
    try {
      const answer = await within(deadline_ms, signal, (until) => classification.answer(until));
      this.metrics.answered(answer.timing, performance.now() - started);
      return answer;
    } catch (error) {
      if (!(error instanceof DeadlinePassed)) throw error;
      this.metrics.expired++;
      throw deadlineProblem({
        milliseconds: error.milliseconds,
        tokens: ticket.tokens,
        tokensRun: classification.tokensRun,
        secondsPerToken: this.metrics.secondsPerToken,
        others: this.#admission.tokens - ticket.tokens,
      });
    } finally {
      ticket.leave();
    }
  }

  /** Starts loading adapters that somebody will soon ask for. Returns how many of them, counted from the first, it took. */
  warm(bundles: readonly string[]): number {
    return this.#adapters.warm(bundles);
  }

  /** The fastest tier that holds an adapter. */
  tierOf(bundle: string): Promise<AdapterTier | null> {
    return this.#adapters.tierOf(bundle);
  }

  /** Drops deleted bundles from memory and from disk. */
  evict(bundles: readonly string[]): Promise<void> {
    return this.#adapters.evict(bundles);
  }

  /** Current values of the metrics. */
  get samples(): Omit<NodeSamples, 'training_jobs' | 'exports'> {
    const { metrics } = this;
    const [slot, memory, disk] = [metrics.slots, this.#adapters.counts, this.store.counts];
    return {
      classify_requests_total: metrics.requests,
      classify_refused_total: metrics.refused,
      classify_expired_total: metrics.expired,
      classify_rows_total: metrics.rows,
      classify_tokens_total: metrics.tokens,
      queue_rows: this.#admission.rows,
      queue_tokens: this.#admission.tokens,
      stage_seconds: metrics.stages,
      answer_seconds: metrics.answers,
      runs_total: metrics.runs,
      run_seconds_total: metrics.runSeconds,
      batch_rows: metrics.batchRows,
      batch_adapters: metrics.batchAdapters,
      batch_fill_ratio: metrics.batchFill,
      batch_padding_tokens_total: metrics.paddingTokens,
      adapter_hits_total: { slot: slot.hits, memory: memory.hits, disk: disk.hits },
      adapter_misses_total: { slot: slot.misses, memory: memory.misses, disk: disk.misses },
      adapter_evictions_total: { slot: slot.evictions, memory: memory.evictions, disk: disk.evictions },
      adapters_resident: {
        slot: this.#pool.slotsTaken,
        memory: this.#adapters.size,
        disk: this.store.size,
      },
      adapter_bytes: { memory: this.#adapters.bytes, disk: this.store.bytes },
      adapter_loads_total: metrics.loads,
      adapter_load_seconds_total: metrics.loadSeconds,
      session_bytes: this.#pool.bytes,
      sessions: this.#pool.sessions,
    };
  }

  /** Ends the workers after the current runs. */
  async stop(): Promise<void> {
    this.#adapters.stop();
    await Promise.all([this.#pool.stop(), this.#checker.stop(), this.#tokenizing.stop()]);
  }

  #enter(tenant: string, rows: readonly Row[], estimates: readonly number[]): Ticket {
    const tokens = estimates.reduce((sum, each) => sum + each, 0);
    const chars = rows.reduce((sum, { text }) => sum + text.length, 0);
    try {
      return this.#admission.enter(
        tenant,
        { rows: rows.length, tokens, chars },
        this.metrics.secondsPerToken,
      );
    } catch (error) {
      this.metrics.refused++;
      throw error;
    }
  }
}

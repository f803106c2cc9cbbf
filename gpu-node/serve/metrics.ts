import type { RunReport } from './group.ts';
import { Histogram, type Samples } from './prometheus.ts';
import { noCounts } from './tier.ts';

/** Every metric of a node. */
export const NODE_METRICS = {
  classify_requests_total: { kind: 'counter', help: 'Classification requests.' },
  classify_refused_total: { kind: 'counter', help: 'Requests refused because the queue was full.' },
  classify_expired_total: { kind: 'counter', help: 'Requests whose deadline passed before their answer.' },
  classify_rows_total: { kind: 'counter', help: 'Texts classified.' },
  classify_tokens_total: { kind: 'counter', help: 'Tokens classified, padding not counted.' },
  queue_rows: { kind: 'gauge', help: 'Texts waiting for an answer.' },
  queue_tokens: { kind: 'gauge', help: 'Tokens of the texts waiting, estimated until they are tokenized.' },
  stage_seconds: {
    kind: 'histogram',
    help: 'Seconds that answered requests spent loading adapters, tokenizing, waiting for a run and in it.',
    label: 'stage',
  },
  answer_seconds: { kind: 'histogram', help: 'Seconds from a request until its answer.' },
  runs_total: { kind: 'counter', help: 'Runs of a serving session.' },
  run_seconds_total: { kind: 'counter', help: 'Seconds spent in runs, of all lanes together.' },
  batch_rows: { kind: 'histogram', help: 'Texts of a batch.' },
  batch_adapters: { kind: 'histogram', help: 'Adapters that a batch mixes.' },
  batch_fill_ratio: { kind: 'histogram', help: 'Tokens of a batch, padding included, over its budget.' },
  batch_padding_tokens_total: { kind: 'counter', help: 'Tokens of padding.' },
  adapter_hits_total: { kind: 'counter', help: 'Adapters found in a tier.', label: 'tier' },
  adapter_misses_total: { kind: 'counter', help: 'Adapters not found in a tier.', label: 'tier' },
  adapter_evictions_total: {
    kind: 'counter',
    help: 'Adapters that left a tier to make room.',
    label: 'tier',
  },
  adapters_resident: { kind: 'gauge', help: 'Adapters in a tier.', label: 'tier' },
  adapter_bytes: { kind: 'gauge', help: 'Bytes of the adapters in a tier.', label: 'tier' },
  adapter_loads_total: {
    kind: 'counter',
    help: 'Loads of an adapter into memory: ok, or the code of the error.',
    label: 'outcome',
  },
  adapter_load_seconds_total: { kind: 'counter', help: 'Seconds spent loading adapters.' },
  session_bytes: { kind: 'gauge', help: 'Bytes of the serving sessions, with the adapters in their slots.' },
  sessions: {
    kind: 'gauge',
    help: 'Serving sessions of each lane: one per base model, precision and set of layers that adapters change.',
  },
  exports: { kind: 'gauge', help: 'Archives of merged models under way.' },
  training_jobs: { kind: 'gauge', help: 'Training jobs under way.' },
} as const;

export type NodeSamples = Samples<typeof NODE_METRICS>;

/** Milliseconds of an answer's stages. */
export interface Timing {
  queue: number;
  load: number;
  tokenize: number;
  run: number;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const POWERS_OF_TWO = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const RATIOS = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1];
/** Weight of earlier runs in the average time per token. */
const DECAY = 0.9;

/** Counts of the serving engine since its start. */
export class ServeMetrics {
  requests = 0;
  refused = 0;
  expired = 0;
  rows = 0;
  tokens = 0;
  paddingTokens = 0;
  runs = 0;
  runSeconds = 0;
  loadSeconds = 0;
  /** Counts over every session's slots. */
  readonly slots = noCounts();
  readonly loads: Record<string, number> = { ok: 0 };
  readonly stages: Readonly<Record<keyof Timing, Histogram>> = {
    queue: new Histogram(SECONDS),
    load: new Histogram(SECONDS),
    tokenize: new Histogram(SECONDS),
    run: new Histogram(SECONDS),
  };
  readonly answers = new Histogram(SECONDS);
  readonly batchRows = new Histogram(POWERS_OF_TWO);
  readonly batchAdapters = new Histogram(POWERS_OF_TWO);
  readonly batchFill = new Histogram(RATIOS);
  readonly #lanes: number;
  /** Recent seconds and tokens; they start with a guess, which soon weighs nothing. */
  readonly #recent = { seconds: 0.1, tokens: 1000 };

  /** `lanes` is the number of batches that run at once. */
  constructor(lanes: number) {
    this.#lanes = lanes;
  }

  /** Recent seconds per token while all lanes are busy. */
  get secondsPerToken(): number {
    return this.#recent.seconds / this.#recent.tokens / this.#lanes;
  }

  ran({ rows, tokens, padded, fill, adapters, runs, slots, milliseconds }: RunReport): void {
    this.rows += rows;
    this.tokens += tokens;
    this.paddingTokens += padded - tokens;
    this.runs += runs;
    this.runSeconds += milliseconds / 1000;
    this.#recent.seconds = DECAY * this.#recent.seconds + milliseconds / 1000;
    this.#recent.tokens = DECAY * this.#recent.tokens + tokens;
    this.batchRows.observe(rows);
    this.batchAdapters.observe(adapters);
    this.batchFill.observe(fill);
    this.slots.hits += slots.hits;
    this.slots.misses += slots.misses;
    this.slots.evictions += slots.evictions;
  }

  /** `milliseconds` are from the request to its answer, in which stages may overlap. */
  answered(timing: Timing, milliseconds: number): void {
    this.answers.observe(milliseconds / 1000);
    for (const stage of ['queue', 'load', 'tokenize', 'run'] as const) {
      this.stages[stage].observe(timing[stage] / 1000);
    }
  }

  /** `outcome` is `ok` or one of the closed set of error codes. */
  loaded(outcome: string, milliseconds: number): void {
    this.loads[outcome] = (this.loads[outcome] ?? 0) + 1;
    this.loadSeconds += milliseconds / 1000;
  }
}

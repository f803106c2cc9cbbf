import { FairQueue, type Turn } from './fair-queue.ts';

/** A row waiting to be run. */
export interface QueuedRow {
  /** Rows of different groups never share a run: each has a session of its own. */
  readonly group: string;
  /** Who asks for it. */
  readonly tenant: string;
  readonly adapter: string;
  /** Tokens, padding not counted. */
  readonly cost: number;
  /** True once nobody waits for the answer. */
  abandoned(): boolean;
}

export interface BatchLimits {
  /** Padded tokens (rows times the longest row) of one batch. A single longer row still runs, alone. */
  tokens: number;
  /** Distinct adapters of one batch. */
  adapters: number;
}

/** Tokens of padding of one batch: less than one run more costs, which is 2 ms, or 57 tokens of a large one (int8, two threads). */
const MAX_PADDING = 32;
/**
 * A batch is chosen from the next rows in fair order, as many as fill this many batches: with more of them it is padded
 * less, with fewer a tenant's newcomer among its adapters waits less. Other tenants' newcomers wait for none of them.
 */
const CANDIDATE_BATCHES = 8;
/** Candidates at most, so that choosing costs the same however many rows wait. */
const MAX_CANDIDATES = 1024;
/**
 * While a tenant is about that has no queue of its own (what it has waiting fits into this part of a batch), no other takes more
 * of one than this: who asks now and then waits for a short run, and shares one. A flood pays for that: runs of a quarter of 512
 * tokens take 49 µs a token, whole ones 35.
 */
const SHARE_BESIDE_OTHERS = 1 / 4;
/** A tenant is about for so many batches after the last one that left it without a queue: half a second, or longer. */
const ABOUT_BATCHES = 64;

/** A group's rows: those that wait, and the next of them in fair order. */
interface Lane<Row extends QueuedRow> {
  readonly waiting: FairQueue<Row>;
  candidates: Turn<Row>[];
  batches: number;
  /** Tenants that a batch left without a queue, with the number of the last that did: the earliest first. */
  readonly about: Map<string, number>;
}

/**
 * Rows in fair order (between tenants, and within each between its adapters, by their tokens), handed out as batches of
 * similar length. The row whose turn it is is in every batch, so that none starves; of the next ones in fair order those
 * nearest to it in length join it, whoever they are for, while the padded size stays in bounds (text-embeddings-inference's token
 * budget, `core/src/queue.rs`, plus the rule on padding).
 */
export class Batcher<Row extends QueuedRow> {
  readonly #limits: BatchLimits;
  readonly #lanes = new Map<string, Lane<Row>>();

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  add(row: Row): void {
    const lane = this.#lanes.get(row.group) ?? openLane<Row>();
    this.#lanes.set(row.group, lane);
    lane.waiting.add([row.tenant, row.adapter], row);
  }

  /** Rows waiting, abandoned ones included until their turn comes. */
  get size(): number {
    let size = 0;
    for (const { waiting, candidates } of this.#lanes.values()) size += waiting.size + candidates.length;
    return size;
  }

  /** Takes the next batch of a group, in fair order; empty where nothing waits. */
  take(group: string): Row[] {
    const lane = this.#lanes.get(group);
    if (!lane) return [];
    this.#stage(lane);
    const candidates = lane.candidates.slice(0, MAX_CANDIDATES).map(({ item }) => item);
    const batch = this.#choose(candidates, ({ tenant }) => this.#tokensOf(tenant, lane));
    const taken = lane.candidates.filter(({ item }) => batch.has(item));
    lane.candidates = lane.candidates.filter(({ item }) => !batch.has(item));
    if (lane.waiting.size + lane.candidates.length === 0) this.#lanes.delete(group);
    this.#noteTenants(lane, batch, ++lane.batches);
    return taken.map(({ item }) => item);
  }

  /** Makes sure that the candidates are the next rows in fair order, those that came since the last batch among them. */
  #stage(lane: Lane<Row>): void {
    const { waiting } = lane;
    const candidates = lane.candidates.filter(({ item }) => !item.abandoned());
    const last = candidates.at(-1)?.start ?? 0;
    let tokens = candidates.reduce((sum, { item }) => sum + item.cost, 0);
    const wanted = () =>
      waiting.next < last ||
      (candidates.length < MAX_CANDIDATES && tokens < CANDIDATE_BATCHES * this.#limits.tokens);
    while (wanted()) {
      const turn = waiting.take();
      if (!turn) break;
      candidates.push(turn);
      tokens += turn.item.cost;
    }
    lane.candidates = candidates.sort((a, b) => a.start - b.start);
    if (candidates[0]) waiting.reach(candidates[0].start);
  }

  /** What a tenant may take of the next batch. */
  #tokensOf(tenant: string, { about }: Lane<Row>): number {
    return about.size > Number(about.has(tenant)) ? this.#share : this.#limits.tokens;
  }

  get #share(): number {
    return SHARE_BESIDE_OTHERS * this.#limits.tokens;
  }

  /** Notes which tenants a batch, just taken, has left without a queue, and forgets those that are no longer about. */
  #noteTenants({ about, candidates, waiting }: Lane<Row>, batch: ReadonlySet<Row>, number: number): void {
    const left = new Map<string, number>();
    for (const { item } of candidates) left.set(item.tenant, (left.get(item.tenant) ?? 0) + item.cost);
    for (const { tenant } of batch) {
      about.delete(tenant);
      if (!waiting.has(tenant) && (left.get(tenant) ?? 0) <= this.#share) about.set(tenant, number);
    }
    for (const [tenant, last] of about) {
      if (number - last <= ABOUT_BATCHES) return;
      about.delete(tenant);
    }
  }

  #choose(candidates: readonly Row[], shareOf: (row: Row) => number): Set<Row> {
    const first = candidates[0];
    if (!first) return new Set();
    const batch = new Set([first]);
    const adapters = new Set([first.adapter]);
    const tokensOf = new Map([[first.tenant, first.cost]]);
    let longest = first.cost;
    let tokens = first.cost;
    for (const row of byDistance(candidates.slice(1), first.cost)) {
      const longestThen = Math.max(longest, row.cost);
      const padded = (batch.size + 1) * longestThen;
      if (padded > this.#limits.tokens) continue;
      if (padded - tokens - row.cost > MAX_PADDING) continue;
      if (!adapters.has(row.adapter) && adapters.size >= this.#limits.adapters) continue;
      const ofTenant = (tokensOf.get(row.tenant) ?? 0) + row.cost;
      if (ofTenant > shareOf(row)) continue;
      batch.add(row);
      adapters.add(row.adapter);
      tokensOf.set(row.tenant, ofTenant);
      longest = longestThen;
      tokens += row.cost;
    }
    return batch;
  }
}

function openLane<Row extends QueuedRow>(): Lane<Row> {
  return { waiting: new FairQueue<Row>(), candidates: [], batches: 0, about: new Map() };
}

/** Stable: of rows equally near, the one whose turn is earlier comes first. */
function byDistance<Row extends QueuedRow>(rows: Row[], length: number): Row[] {
  return rows.sort((a, b) => Math.abs(a.cost - length) - Math.abs(b.cost - length));
}

import { FairQueue, type Turn } from './fair-queue.ts';

/** A row waiting to be run. */
export interface QueuedRow {
  /** The tenant that asks for it. */
  readonly tenant: string;
  readonly adapter: string;
  /** Number of tokens, without padding. */
  readonly cost: number;
  /** For each part of the session, the bytes of the adapter's numbers that a run gathers, in stacks of the adapter's own size. */
  readonly widths: readonly number[];
  /** Returns true once nobody waits for the answer. */
  abandoned(): boolean;
}

export interface BatchLimits {
  /** Most padded tokens of one batch: its rows times the longest row. A single longer row still runs, alone. */
  tokens: number;
  /** Most distinct adapters of one batch. */
  adapters: number;
}

/** Most tokens of padding in one batch, which cost about as much as one more run (bench/README.md, What a served run takes). */
const MAX_PADDING = 16;
/**
 * Most bytes that a batch's rows gather only because other rows have adapters of a higher rank or with more labels: they cost about as much
 * as one more run (bench/README.md, Mixed ranks).
 */
const MAX_EXCESS = 4 * 1024 * 1024;
/** Bytes whose gathering and multiplication take as long as a token. */
const BYTES_PER_TOKEN = 160 * 1024;
/**
 * Batches that the candidates of one batch could fill. The candidates are the next rows in fair order. More of them mean less padding;
 * fewer mean that a newcomer among a tenant's adapters waits less. Other tenants' newcomers never wait for them.
 */
const CANDIDATE_BATCHES = 8;
/** Most candidates, so that choosing costs the same however many rows wait. */
const MAX_CANDIDATES = 1024;
/**
 * Part of a batch that one tenant may take while an occasional tenant is about, i.e. one whose waiting rows fit into this part. So an
 * occasional tenant waits for a short run, and shares one.
 */
const SHARE_BESIDE_OTHERS = 1 / 2;
/** Batches for which a tenant stays about after the last one that left it without a queue (bench/README.md, What a served run takes). */
const ABOUT_BATCHES = 256;

/**
 * Hands out rows as batches of similar length and width. Rows wait in fair order: between tenants, and within each between its adapters, by
 * their tokens. Each batch holds the row whose turn it is, so that none starves. Of the next rows those nearest to it in length and width
 * join it, of any tenant, while the padded size stays in bounds (text-embeddings-inference's token budget, `core/src/queue.rs`, plus the
 * rules on padding and excess).
 */
export class Batcher<Row extends QueuedRow> {
  readonly limits: BatchLimits;
  #waiting = new FairQueue<Row>();
  /** The next rows in fair order. */
  #candidates: Turn<Row>[] = [];
  #batches = 0;
  /** Tenants that a batch left without a queue, each with the number of the last such batch; the earliest first. */
  readonly #about = new Map<string, number>();

  constructor(limits: BatchLimits) {
    this.limits = limits;
  }

  add(row: Row): void {
    this.#waiting.add([row.tenant, row.adapter], row);
  }

  /** Number of waiting rows, abandoned ones included until their turn comes. */
  get size(): number {
    return this.#waiting.size + this.#candidates.length;
  }

  /**
   * Takes the next batch in fair order; empty if nothing waits. It holds one of `parts` of the waiting tokens, because that many batches
   * may run at once.
   */
  take(parts = 1): Row[] {
    const staged = this.#stage();
    const candidates = this.#candidates.slice(0, MAX_CANDIDATES).map(({ item }) => item);
    const batch = this.#choose(candidates, Math.ceil(staged / parts));
    const taken = this.#candidates.filter(({ item }) => batch.has(item));
    this.#candidates = this.#candidates.filter(({ item }) => !batch.has(item));
    if (this.size > 0) this.#noteTenants(batch, ++this.#batches);
    else this.#forget();
    return taken.map(({ item }) => item);
  }

  /** Forgets the tenants when nothing waits: then nobody has a claim on what comes. */
  #forget(): void {
    this.#waiting = new FairQueue<Row>();
    this.#about.clear();
  }

  /** Updates the candidates to the next rows in fair order, including rows that came since the last batch. Returns their tokens. */
  #stage(): number {
    const waiting = this.#waiting;
    const candidates = this.#candidates.filter(({ item }) => !item.abandoned());
    const last = candidates.at(-1)?.start ?? 0;
    let tokens = candidates.reduce((sum, { item }) => sum + item.cost, 0);
    const wanted = () =>
      waiting.next < last ||
      (candidates.length < MAX_CANDIDATES && tokens < CANDIDATE_BATCHES * this.limits.tokens);
    while (wanted()) {
      const turn = waiting.take();
      if (!turn) break;
      candidates.push(turn);
      tokens += turn.item.cost;
    }
    this.#candidates = candidates.sort((a, b) => a.start - b.start);
    if (candidates[0]) waiting.reach(candidates[0].start);
    return tokens;
  }

  /** Tokens of the next batch that a tenant may take. */
  #tokensOf(tenant: string): number {
    return this.#about.size > Number(this.#about.has(tenant)) ? this.#share : this.limits.tokens;
  }

  get #share(): number {
    return SHARE_BESIDE_OTHERS * this.limits.tokens;
  }

  /** Notes the tenants that a batch just taken has left without a queue, and forgets those that are no longer about. */
  #noteTenants(batch: ReadonlySet<Row>, number: number): void {
    const about = this.#about;
    const left = new Map<string, number>();
    for (const { item } of this.#candidates) left.set(item.tenant, (left.get(item.tenant) ?? 0) + item.cost);
    for (const { tenant } of batch) {
      about.delete(tenant);
      if (!this.#waiting.has(tenant) && (left.get(tenant) ?? 0) <= this.#share) about.set(tenant, number);
    }
    for (const [tenant, last] of about) {
      if (number - last <= ABOUT_BATCHES) return;
      about.delete(tenant);
    }
  }

  /** Chooses the batch's rows; `part` is in tokens without padding. */
  #choose(candidates: readonly Row[], part: number): Set<Row> {
    const first = candidates[0];
    if (!first) return new Set();
    const batch = new Set([first]);
    const adapters = new Set([first.adapter]);
    const tokensOf = new Map([[first.tenant, first.cost]]);
    let longest = first.cost;
    let tokens = first.cost;
    let widest = first.widths;
    let gathered = sum(widest);
    for (const row of byDistance(candidates.slice(1), first)) {
      const longestThen = Math.max(longest, row.cost);
      const padded = (batch.size + 1) * longestThen;
      if (padded > this.limits.tokens || tokens + row.cost > part) continue;
      if (padded - tokens - row.cost > MAX_PADDING) continue;
      if (!adapters.has(row.adapter) && adapters.size >= this.limits.adapters) continue;
      const ofTenant = (tokensOf.get(row.tenant) ?? 0) + row.cost;
      if (ofTenant > this.#tokensOf(row.tenant)) continue;
      const widestThen = widest.map((width, part) => Math.max(width, row.widths[part]!));
      const gatheredThen = gathered + sum(row.widths);
      if ((batch.size + 1) * sum(widestThen) - gatheredThen > MAX_EXCESS) continue;
      batch.add(row);
      adapters.add(row.adapter);
      tokensOf.set(row.tenant, ofTenant);
      longest = longestThen;
      tokens += row.cost;
      widest = widestThen;
      gathered = gatheredThen;
    }
    return batch;
  }
}

/** Rows sorted by distance. The sort is stable: of equally near rows the one whose turn is earlier comes first. */
function byDistance<Row extends QueuedRow>(rows: readonly Row[], to: QueuedRow): Row[] {
  const measured = rows.map((row) => ({ row, distance: distance(row, to) }));
  return measured.sort((a, b) => a.distance - b.distance).map(({ row }) => row);
}

/** Distance of two rows in length and width, in tokens. */
function distance(one: QueuedRow, other: QueuedRow): number {
  let bytes = 0;
  for (const [part, width] of one.widths.entries()) bytes += Math.abs(width - other.widths[part]!);
  return Math.abs(one.cost - other.cost) + bytes / BYTES_PER_TOKEN;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

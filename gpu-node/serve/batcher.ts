import { FairQueue, type Turn } from './fair-queue.ts';

/** A row waiting to be run. */
export interface QueuedRow {
  /** Who asks for it. */
  readonly tenant: string;
  readonly adapter: string;
  /** Tokens, padding not counted. */
  readonly cost: number;
  /** For each part of its session the bytes of its adapter's numbers that its run gathers for it, in stacks of its own size. */
  readonly widths: readonly number[];
  /** True once nobody waits for the answer. */
  abandoned(): boolean;
}

export interface BatchLimits {
  /** Padded tokens (rows times the longest row) of one batch. A single longer row still runs, alone. */
  tokens: number;
  /** Distinct adapters of one batch. */
  adapters: number;
}

/** Tokens of padding of one batch: about what one run more costs, 0.7 ms (int8, one thread). */
const MAX_PADDING = 16;
/**
 * Bytes of one batch that its rows gather only because others in it have adapters of a higher rank or more labels: about what one run more
 * costs (bench/README.md, Mixed ranks).
 */
const MAX_EXCESS = 4 * 1024 * 1024;
/** Gathering so many bytes, and multiplying by them, takes as long as a token. */
const BYTES_PER_TOKEN = 160 * 1024;
/**
 * A batch is chosen from the next rows in fair order, as many as fill this many batches: with more of them it is padded
 * less, with fewer a tenant's newcomer among its adapters waits less. Other tenants' newcomers wait for none of them.
 */
const CANDIDATE_BATCHES = 8;
/** Candidates at most, so that choosing costs the same however many rows wait. */
const MAX_CANDIDATES = 1024;
/**
 * While a tenant is about that has no queue of its own (what it has waiting fits into this part of a batch), no other takes more
 * of one than this: who asks now and then waits for a short run, and shares one.
 */
const SHARE_BESIDE_OTHERS = 1 / 2;
/** A tenant is about for so many batches after the last one that left it without a queue: half a second, or longer. */
const ABOUT_BATCHES = 256;

/**
 * Rows in fair order (between tenants, and within each between its adapters, by their tokens), handed out as batches of
 * similar length and width. The row whose turn it is is in every batch, so that none starves; of the next ones in fair order those
 * nearest to it in both join it, whoever they are for, while the padded size stays in bounds (text-embeddings-inference's token
 * budget, `core/src/queue.rs`, plus the rules on padding and excess).
 */
export class Batcher<Row extends QueuedRow> {
  readonly limits: BatchLimits;
  #waiting = new FairQueue<Row>();
  /** The next rows in fair order. */
  #candidates: Turn<Row>[] = [];
  #batches = 0;
  /** Tenants that a batch left without a queue, with the number of the last that did: the earliest first. */
  readonly #about = new Map<string, number>();

  constructor(limits: BatchLimits) {
    this.limits = limits;
  }

  add(row: Row): void {
    this.#waiting.add([row.tenant, row.adapter], row);
  }

  /** Rows waiting, abandoned ones included until their turn comes. */
  get size(): number {
    return this.#waiting.size + this.#candidates.length;
  }

  /** Takes the next batch in fair order; empty where nothing waits. Of what waits it is one of `parts`: as many batches may run at once. */
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

  /** Where nothing waits, nobody has a claim on what comes. */
  #forget(): void {
    this.#waiting = new FairQueue<Row>();
    this.#about.clear();
  }

  /** Makes sure that the candidates are the next rows in fair order, those that came since the last batch among them. Gives their tokens. */
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

  /** What a tenant may take of the next batch. */
  #tokensOf(tenant: string): number {
    return this.#about.size > Number(this.#about.has(tenant)) ? this.#share : this.limits.tokens;
  }

  get #share(): number {
    return SHARE_BESIDE_OTHERS * this.limits.tokens;
  }

  /** Notes which tenants a batch, just taken, has left without a queue, and forgets those that are no longer about. */
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

  /** `part` in tokens without padding. */
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

/** Stable: of rows equally near, the one whose turn is earlier comes first. */
function byDistance<Row extends QueuedRow>(rows: readonly Row[], to: QueuedRow): Row[] {
  const measured = rows.map((row) => ({ row, distance: distance(row, to) }));
  return measured.sort((a, b) => a.distance - b.distance).map(({ row }) => row);
}

/** How unlike two rows are, in tokens. */
function distance(one: QueuedRow, other: QueuedRow): number {
  let bytes = 0;
  for (const [part, width] of one.widths.entries()) bytes += Math.abs(width - other.widths[part]!);
  return Math.abs(one.cost - other.cost) + bytes / BYTES_PER_TOKEN;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

import { Heap } from '../heap.ts';

/** Something that waits for its turn. */
export interface Waiting {
  /** What serving it takes, e.g. tokens; positive. */
  readonly cost: number;
  /** True once nobody waits for it any more: it is dropped without a turn. */
  abandoned(): boolean;
}

/** An item whose turn has come. */
export interface Turn<T> {
  readonly item: T;
  /** The virtual time at which it starts: lower goes first. */
  readonly start: number;
}

/** What waits for one flow: items in order of arrival, or flows within it. */
interface Backlog<T> {
  readonly size: number;
  add(path: readonly string[], item: T): void;
  take(): Turn<T> | undefined;
  reach(time: number): void;
}

interface Flow<T> {
  readonly backlog: Backlog<T>;
  /** The virtual time at which its next item starts: the cost of what it was served. */
  start: number;
  /** Of those that start at the same time the one that has waited longer goes first. */
  since: number;
}

/** Flows without items are looked over for forgetting once there are this many, or twice as many as were left. */
const FORGET_FROM = 64;

/**
 * Items of several flows, each flow served its share: the flow that was served least has the next turn, and one that
 * was idle starts where the others are now, so that it neither saves up turns nor waits for a flood that came before it
 * (start-time fair queueing: Goyal, Vin & Cheng 1996; with tokens as the cost, Sheng et al. 2024, arXiv:2401.00588).
 * Flows may hold flows: `add(['tenant', 'adapter'], row)` is fair between tenants, and within each between its adapters.
 */
export class FairQueue<T extends Waiting> {
  readonly #flows = new Map<string, Flow<T>>();
  readonly #due = new Heap<Flow<T>>((a, b) => (a.start === b.start ? a.since < b.since : a.start < b.start));
  #now = 0;
  #size = 0;
  #arrivals = 0;
  #forgetFrom = FORGET_FROM;

  /** Items, abandoned ones included until their turn comes. */
  get size(): number {
    return this.#size;
  }

  /** Whether items of an outermost flow wait, abandoned ones included. */
  has(key: string): boolean {
    return (this.#flows.get(key)?.backlog.size ?? 0) > 0;
  }

  /** No turn to come starts earlier. Infinite where nothing waits. */
  get next(): number {
    return this.#due.first?.start ?? Number.POSITIVE_INFINITY;
  }

  /** `path` names the item's flow, from the outermost; each is as long as the others. */
  add([key, ...inner]: readonly string[], item: T): void {
    const flow = this.#flows.get(key!) ?? this.#open(key!, inner.length > 0);
    const idle = flow.backlog.size === 0;
    flow.backlog.add(inner, item);
    this.#size++;
    if (!idle) return;
    flow.start = Math.max(flow.start, this.#now);
    this.#enqueue(flow);
  }

  /** The next turn of an item that somebody waits for. */
  take(): Turn<T> | undefined {
    for (let flow = this.#due.pop(); flow; flow = this.#due.pop()) {
      const { backlog, start } = flow;
      const waiting = backlog.size;
      const turn = backlog.take();
      this.#size -= waiting - backlog.size;
      if (!turn) continue;
      backlog.reach(turn.start);
      flow.start += turn.item.cost;
      if (backlog.size > 0) this.#enqueue(flow);
      return { item: turn.item, start };
    }
    return undefined;
  }

  /** Says that the turns before this virtual time are over: who comes anew starts no earlier. */
  reach(time: number): void {
    this.#now = Math.max(this.#now, time);
  }

  #enqueue(flow: Flow<T>): void {
    flow.since = this.#arrivals++;
    this.#due.push(flow);
  }

  #open(key: string, nested: boolean): Flow<T> {
    this.#forgetIdle();
    const flow = { backlog: nested ? new FairQueue<T>() : new Fifo<T>(), start: 0, since: 0 };
    this.#flows.set(key, flow);
    return flow;
  }

  /** An idle flow that the others have caught up with is as good as a new one. */
  #forgetIdle(): void {
    if (this.#flows.size < this.#forgetFrom) return;
    for (const [key, { backlog, start }] of this.#flows) {
      if (backlog.size === 0 && start <= this.#now) this.#flows.delete(key);
    }
    this.#forgetFrom = Math.max(FORGET_FROM, 2 * this.#flows.size);
  }
}

/** In order of arrival. */
class Fifo<T extends Waiting> implements Backlog<T> {
  #items: T[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  add(_path: readonly string[], item: T): void {
    this.#items.push(item);
  }

  take(): Turn<T> | undefined {
    while (this.#head < this.#items.length) {
      const item = this.#items[this.#head++]!;
      this.#compact();
      if (!item.abandoned()) return { item, start: 0 };
    }
    return undefined;
  }

  reach(): void {}

  /** Frees what was taken, at a cost that the takes before it have paid for. */
  #compact(): void {
    if (2 * this.#head < this.#items.length) return;
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }
}

import { Heap } from '../heap.ts';

/** An item that waits for its turn. */
export interface Waiting {
  /** Cost of serving it, e.g. in tokens; positive. */
  readonly cost: number;
  /** Returns true once nobody waits for it: it is then dropped without a turn. */
  abandoned(): boolean;
}

/** An item whose turn has come. */
export interface Turn<T> {
  readonly item: T;
  /** The virtual time at which the turn starts; lower goes first. */
  readonly start: number;
}

/** The waiting items of one flow in order of arrival, or the flows within it. */
interface Backlog<T> {
  readonly size: number;
  add(path: readonly string[], item: T): void;
  take(): Turn<T> | undefined;
  reach(time: number): void;
}

interface Flow<T> {
  readonly backlog: Backlog<T>;
  /** The virtual time at which its next item starts: the total cost of its served items. */
  start: number;
  /** Order of arrival: of flows that start at the same time the one that has waited longer goes first. */
  since: number;
}

/** Number of flows from which idle ones are searched and forgotten; twice the number that remained, if that is more. */
const FORGET_FROM = 64;

/**
 * Items of several flows, each served its share. The flow that was served least has the next turn. An idle flow starts again where the
 * others are, so that it neither saves up turns nor waits for a flood that came before it (start-time fair queueing: Goyal, Vin & Cheng
 * 1996; with tokens as the cost: Sheng et al. 2024, arXiv:2401.00588).
 * Flows may hold flows: `add(['tenant', 'adapter'], row)` is fair between tenants, and within each between its adapters.
 */
export class FairQueue<T extends Waiting> {
  readonly #flows = new Map<string, Flow<T>>();
  readonly #due = new Heap<Flow<T>>((a, b) => (a.start === b.start ? a.since < b.since : a.start < b.start));
  #now = 0;
  #size = 0;
  #arrivals = 0;
  #forgetFrom = FORGET_FROM;

  /** Number of items, abandoned ones included until their turn comes. */
  get size(): number {
    return this.#size;
  }

  /** True if items of an outermost flow wait, abandoned ones included. */
  has(key: string): boolean {
    return (this.#flows.get(key)?.backlog.size ?? 0) > 0;
  }

  /** Earliest start of any turn to come; infinite if nothing waits. */
  get next(): number {
    return this.#due.first?.start ?? Number.POSITIVE_INFINITY;
  }

  /** Adds an item to the flow that `path` names from the outermost flow; all paths have one length. */
  add([key, ...inner]: readonly string[], item: T): void {
    const flow = this.#flows.get(key!) ?? this.#open(key!, inner.length > 0);
    const idle = flow.backlog.size === 0;
    flow.backlog.add(inner, item);
    this.#size++;
    if (!idle) return;
    flow.start = Math.max(flow.start, this.#now);
    this.#enqueue(flow);
  }

  /** The next turn of an item that is not abandoned. */
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

  /** Marks the turns before this virtual time as over: a new flow starts no earlier. */
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

  /** Forgets idle flows that the others have caught up with, because they are as good as new ones. */
  #forgetIdle(): void {
    if (this.#flows.size < this.#forgetFrom) return;
    for (const [key, { backlog, start }] of this.#flows) {
      if (backlog.size === 0 && start <= this.#now) this.#flows.delete(key);
    }
    this.#forgetFrom = Math.max(FORGET_FROM, 2 * this.#flows.size);
  }
}

/** Items in order of arrival. */
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

  /** Frees the taken items, at a cost proportional to the takes before it. */
  #compact(): void {
    if (2 * this.#head < this.#items.length) return;
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }
}

import { AppError } from '../../shared/errors.ts';
import type { BasePrecision } from '../../shared/peft-config.ts';
import type { BaseModelSource } from '../models/open-base-model.ts';
import { BaseSessions } from './base-sessions.ts';
import type { AdapterToLoad, ForwardWorkerData } from './forward-worker.ts';
import { closed, Group, type RowResult, type RunReport, type TextToRun } from './group.ts';
import type { Advice } from './plan-traffic.ts';
import { baseKey, groupKey, type SessionGroup } from './session-group.ts';
import { type Hold, SessionRoom } from './session-room.ts';

/** A group that none of the last so many adapters asked for is idle: it may make way for a union of others' plans. */
const IDLE_USES = 1024;

export interface SessionPoolOptions {
  /** Base models by id. */
  bases: ReadonlyMap<string, BaseModelSource>;
  worker: Pick<ForwardWorkerData, 'memory' | 'slots' | 'stackBytes' | 'device' | 'threads'>;
  /** Sessions of each group. */
  lanes: number;
  /** Padded tokens of one run. */
  runTokens(precision: BasePrecision): number;
  /** Bytes that all sessions may take together, and those of a lane without its stacks. */
  maxBytes: number;
  laneBytes(sort: SessionGroup): number;
  /** Linear layers of a base model. */
  layers(base: string): number;
  onRun(report: RunReport): void;
  /** A worker ended unasked, or could not be started ahead of its use. */
  onFailure(error: Error): void;
}

/** There is no room for sessions of this sort beside those in use; `wait` for it. */
export class SessionsInUse extends AppError {
  readonly sort: SessionGroup;

  constructor(sort: SessionGroup) {
    const message = 'the sessions of other adapters, which are in use, take all of the memory for them';
    super('no_capacity', message, { retryAfter: 1 });
    this.sort = sort;
  }
}

/** A place of an adapter in the sessions of a group, which stay until it is released. */
export interface Seat extends Hold {
  /** Queues a text; it shares a run with whatever else waits for the same sessions. */
  submit(text: Omit<TextToRun, 'handle'>, signal: AbortSignal): Promise<RowResult>;
}

/**
 * Sessions for each group of adapters in use. An adapter is served by the smallest that covers its plan. Those of a new one are built while
 * the others go on, and so are those of a union of plans that are used together, whose own then give way to it.
 */
export class SessionPool {
  readonly #options: SessionPoolOptions;
  readonly #groups = new Map<string, Group>();
  /** By base model and precision. */
  readonly #bases = new Map<string, BaseSessions>();
  readonly #room: SessionRoom;
  /** Groups that are ending. */
  readonly #ending = new Set<Promise<unknown>>();
  /** Adapters that asked for sessions so far, and how many had when each group was asked for last. */
  #uses = 0;
  readonly #lastUses = new Map<string, number>();

  constructor(options: SessionPoolOptions) {
    this.#options = options;
    this.#room = new SessionRoom(options.maxBytes, (key) => this.#remove(this.#groups.get(key), closed()));
  }

  /** Groups that have sessions; each has one for each lane. */
  get sessions(): number {
    return this.#groups.size;
  }

  /** What all sessions take, as far as it is known. */
  get bytes(): number {
    return this.#room.bytes;
  }

  /** Slots taken, over all sessions. */
  get slotsTaken(): number {
    return [...this.#groups.values()].reduce((sum, { slotsTaken }) => sum + slotsTaken, 0);
  }

  /** Makes sure that there are sessions for this sort; they stay until they are released. @throws {SessionsInUse} */
  async open(sort: SessionGroup): Promise<Hold> {
    const { hold } = await this.#open(sort);
    return hold;
  }

  /** As `open`, once there is room. The caller must hold no other group, lest two wait for each other. */
  async wait(sort: SessionGroup, signal: AbortSignal): Promise<Hold> {
    const hold = await this.#room.wait(groupKey(sort), this.#bytesOf(sort), signal);
    await this.#ready(sort, hold);
    return hold;
  }

  /** Gives an adapter its place, loading it where its sessions lack it. Its weights must stay until it is dropped. @throws {SessionsInUse} */
  async seat(adapter: AdapterToLoad, sort: SessionGroup): Promise<Seat> {
    const { group, hold } = await this.#open(sort);
    try {
      await group.load(adapter, sort.plan);
    } catch (error) {
      hold.release();
      throw error;
    }
    const { handle } = adapter;
    return { ...hold, submit: (text, signal) => group.submit({ ...text, handle }, signal) };
  }

  /** Forgets an adapter that has no seat. */
  drop(handle: string): void {
    for (const group of this.#groups.values()) group.drop(handle);
  }

  /** Whether an adapter lies in a slot of a session. */
  async inSlot(handle: string): Promise<boolean> {
    const found = await Promise.all([...this.#groups.values()].map((group) => group.inSlot(handle)));
    return found.includes(true);
  }

  async stop(): Promise<void> {
    const groups = [...this.#groups.values()];
    this.#groups.clear();
    await Promise.all([...groups.map((group) => group.stop()), ...this.#ending]);
  }

  async #open(sort: SessionGroup): Promise<{ group: Group; hold: Hold }> {
    for (const group of this.#baseOf(sort).choose(sort.plan)) {
      const hold = this.#room.hold(group.key);
      if (hold) return { group: await this.#ready(group.sort, hold), hold };
    }
    const hold = this.#room.admit(groupKey(sort), this.#bytesOf(sort));
    if (!hold) throw new SessionsInUse(sort);
    return { group: await this.#ready(sort, hold), hold };
  }

  /** The group that is held, as soon as it is open, built if need be. */
  async #ready(sort: SessionGroup, { release }: Hold): Promise<Group> {
    const key = groupKey(sort);
    this.#lastUses.set(key, ++this.#uses);
    const group = this.#groups.get(key) ?? this.#build(sort);
    try {
      if (!group.isOpen) await group.ready;
      return group;
    } catch (error) {
      release();
      throw error;
    }
  }

  #bytesOf(sort: SessionGroup): number {
    return this.#options.lanes * this.#options.laneBytes(sort);
  }

  #baseOf(sort: SessionGroup): BaseSessions {
    const key = baseKey(sort);
    const { layers, lanes } = this.#options;
    const found =
      this.#bases.get(key) ??
      new BaseSessions({ layers: layers(sort.base), lanes, follow: (advice) => this.#follow(sort, advice) });
    this.#bases.set(key, found);
    return found;
  }

  #build(sort: SessionGroup): Group {
    const { bases, worker, lanes, runTokens, onRun, onFailure } = this.#options;
    const base = this.#baseOf(sort);
    // What gives way is gone before another takes its memory: the allocator gives a thread what one that ended has left.
    const group = new Group(sort, Promise.all(this.#ending), {
      worker: { ...worker, plan: sort.plan, precision: sort.precision, base: bases.get(sort.base)! },
      lanes,
      limits: { tokens: runTokens(sort.precision), adapters: worker.slots },
      onWaiting: () => base.schedule(),
      onIdle: (run) => base.ended(run),
      onRun,
      onStacks: (bytes) => this.#room.resize(group.key, this.#bytesOf(sort) + bytes),
      onDeath: (error) => {
        onFailure(error);
        this.#remove(group, error);
      },
    });
    this.#groups.set(group.key, group);
    base.add(group);
    group.ready.catch((error) => this.#remove(group, error));
    return group;
  }

  #remove(group: Group | undefined, error: Error): void {
    if (!group || this.#groups.get(group.key) !== group) return;
    this.#groups.delete(group.key);
    this.#lastUses.delete(group.key);
    this.#baseOf(group.sort).remove(group);
    this.#room.remove(group.key);
    const ended = group.stop(error).finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  /** Builds what is advised where there is room for it beside all that is in use; then what it is to replace takes no more rows. */
  async #follow({ base, precision }: Omit<SessionGroup, 'plan'>, { open, leave }: Advice): Promise<void> {
    const holds: Hold[] = [];
    try {
      for (const plan of open) {
        const sort = { base, precision, plan };
        const key = groupKey(sort);
        const hold = this.#room.hold(key) ?? this.#room.admit(key, this.#bytesOf(sort), this.#isInUse);
        if (!hold) return;
        holds.push(hold);
        await this.#ready(sort, hold);
      }
      for (const plan of leave) this.#room.retire(groupKey({ base, precision, plan }));
    } catch (error) {
      if (!(error instanceof AppError)) this.#options.onFailure(error as Error);
    } finally {
      for (const { release } of holds) release();
    }
  }

  readonly #isInUse = (key: string): boolean => (this.#lastUses.get(key) ?? 0) > this.#uses - IDLE_USES;
}

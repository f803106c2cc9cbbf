import { AppError } from '../../shared/errors.ts';
import type { BasePrecision } from '../../shared/peft-config.ts';
import type { BaseModelSource } from '../models/open-base-model.ts';
import { BaseSessions } from './base-sessions.ts';
import type { AdapterToLoad, ForwardWorkerData } from './forward-worker.ts';
import { closed, Group, type RowResult, type RunReport, type TextToRun } from './group.ts';
import type { Advice } from './plan-traffic.ts';
import { baseKey, groupKey, type SessionGroup, sourceOf } from './session-group.ts';
import { type Hold, SessionRoom } from './session-room.ts';

/** Number of last uses without which a group is idle; it may then give way to a union of others' plans. */
const IDLE_USES = 1024;

export interface SessionPoolOptions {
  /** Base models by id. */
  bases: ReadonlyMap<string, BaseModelSource>;
  /** The folder of the adapters on disk. */
  cache: string;
  worker: Pick<ForwardWorkerData, 'memory' | 'slots' | 'stackBytes' | 'device' | 'threads'>;
  /** Number of sessions per group. */
  lanes: number;
  /** Padded tokens of one run. */
  runTokens(precision: BasePrecision): number;
  /** Most bytes of all sessions, and the bytes of a lane without its stacks. */
  maxBytes: number;
  laneBytes(sort: SessionGroup): number;
  /** Number of linear layers of a base model. */
  layers(base: string): number;
  onRun(report: RunReport): void;
  /** Called when a worker ended unexpectedly, or could not be started ahead of its use. */
  onFailure(error: Error): void;
}

/** The error if there is no room for this kind of sessions beside those in use; `wait` waits for it. */
export class SessionsInUse extends AppError {
  readonly sort: SessionGroup;

  constructor(sort: SessionGroup) {
    const message = 'the sessions of other adapters, which are in use, take all of the memory for them';
    super('no_capacity', message, { retryAfter: 1 });
    this.sort = sort;
  }
}

/** An adapter's place in the sessions of a group, which stay until it is released. */
export interface Seat extends Hold {
  /** Queues a text; it shares a run with other texts for the same sessions. */
  submit(text: Omit<TextToRun, 'handle'>, signal: AbortSignal): Promise<RowResult>;
}

/**
 * Sessions for each group of adapters in use. The smallest group that covers its plan serves an adapter. Sessions of a new group are built
 * while the others run. So are those of a union of plans that are used together; the plans' own sessions then give way to it.
 */
export class SessionPool {
  readonly #options: SessionPoolOptions;
  readonly #groups = new Map<string, Group>();
  /** Groups by base model and precision. */
  readonly #bases = new Map<string, BaseSessions>();
  readonly #room: SessionRoom;
  /** Groups that are being closed. */
  readonly #ending = new Set<Promise<unknown>>();
  /** Number of adapters that have asked for sessions, and its value when each group was last asked for. */
  #uses = 0;
  readonly #lastUses = new Map<string, number>();

  constructor(options: SessionPoolOptions) {
    this.#options = options;
    this.#room = new SessionRoom(options.maxBytes, (key) => this.#remove(this.#groups.get(key), closed()));
  }

  /** Number of groups with sessions; each has one per lane. */
  get sessions(): number {
    return this.#groups.size;
  }

  /** Bytes of all sessions, as far as they are known. */
  get bytes(): number {
    return this.#room.bytes;
  }

  /** Number of taken slots over all sessions. */
  get slotsTaken(): number {
    return [...this.#groups.values()].reduce((sum, { slotsTaken }) => sum + slotsTaken, 0);
  }

  /** Ensures that there are sessions of this kind; they stay until they are released. @throws {SessionsInUse} */
  async open(sort: SessionGroup): Promise<Hold> {
    const { hold } = await this.#open(sort);
    return hold;
  }

  /** Does the same as `open`, once there is room. The caller must hold no other group, so that no two wait for each other. */
  async wait(sort: SessionGroup, signal: AbortSignal): Promise<Hold> {
    const hold = await this.#room.wait(groupKey(sort), this.#bytesOf(sort), signal);
    await this.#ready(sort, hold);
    return hold;
  }

  /** Seats an adapter, loading it into its sessions if needed. Its weights must stay until it is dropped. @throws {SessionsInUse} */
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
    for (const group of this.#groups.values()) {
      // Sessions on a model of its own have nothing to serve without it.
      if (group.drop(handle) && group.sort.model) this.#room.retire(group.key);
    }
  }

  /** True if an adapter is in a slot of a session. */
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

  /** The held group as soon as it is open; it is built if needed. */
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
    const { bases, cache, worker, lanes, runTokens, onRun, onFailure } = this.#options;
    const base = this.#baseOf(sort);
    // Groups that give way are closed before a new one takes their memory: the allocator gives a new thread the memory of an ended one.
    const group = new Group(sort, Promise.all(this.#ending), {
      worker: { ...worker, plan: sort.plan, precision: sort.precision, base: sourceOf(sort, bases, cache) },
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
    if (group.sort.model) this.#bases.delete(baseKey(group.sort));
    this.#room.remove(group.key);
    const ended = group.stop(error).finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  /** Builds advised sessions if there is room beside all that are in use; then the sessions they replace take no more rows. */
  async #follow(base: Omit<SessionGroup, 'plan'>, { open, leave }: Advice): Promise<void> {
    const holds: Hold[] = [];
    try {
      for (const plan of open) {
        const sort = { ...base, plan };
        const key = groupKey(sort);
        const hold = this.#room.hold(key) ?? this.#room.admit(key, this.#bytesOf(sort), this.#isInUse);
        if (!hold) return;
        holds.push(hold);
        await this.#ready(sort, hold);
      }
      for (const plan of leave) this.#room.retire(groupKey({ ...base, plan }));
    } catch (error) {
      if (!(error instanceof AppError)) this.#options.onFailure(error as Error);
    } finally {
      for (const { release } of holds) release();
    }
  }

  readonly #isInUse = (key: string): boolean => (this.#lastUses.get(key) ?? 0) > this.#uses - IDLE_USES;
}

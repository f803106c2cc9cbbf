import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../gpu-node/random.ts';
import type { Cluster } from '../../test/support/cluster.ts';
import type { Complaints } from './complaints.ts';

/** Most milliseconds between two faults. */
const PAUSE_MS = 8000;
/** Milliseconds of the longest pause of a node: a serving lease and a little more. */
const LONGEST_HANG_MS = 12_000;
/** Most versions of a name. */
const MAX_VERSIONS = 4;
/** Milliseconds for the quiet tenant's single training, however many other jobs wait. */
const LONGEST_CHANGE_MS = 180_000;
/** Milliseconds for a node to drain: a node says 10 seconds, and a busy machine may take some more. */
const LONGEST_DRAIN_MS = 20_000;
const KINDS = ['kill', 'drain', 'pause', 'delete', 'delete', 'import', 'import', 'train', 'train'] as const;
type Kind = (typeof KINDS)[number];

/**
 * The faults of a cluster. One node at a time is killed, drained or paused, except the first, which shows what grows. Versions come, by
 * import and by training, and go.
 */
export class Faults {
  readonly done: Partial<Record<Kind, number>> = {};
  /** The longest change of each kind, in seconds. */
  readonly longest: Partial<Record<Kind, number>> = {};
  readonly #cluster: Cluster;
  readonly #random: Random;
  readonly #complaints: Complaints;
  /** Indices of the nodes that are being replaced. */
  readonly #doomed = new Set<number>();

  constructor(cluster: Cluster, random: Random, complaints: Complaints) {
    this.#cluster = cluster;
    this.#random = random;
    this.#complaints = complaints;
    for (const index of cluster.nodes.keys()) this.#guard(index);
  }

  /** Makes one fault after another, until `over` is aborted. */
  async run(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const kind = KINDS[this.#random.below(KINDS.length)]!;
      const started = performance.now();
      await this.#make(kind).catch((error) => this.#complaints.add(`${kind}: ${error.message}`));
      const took = performance.now() - started;
      if (took > LONGEST_CHANGE_MS) this.#complaints.add(`${kind} took ${Math.round(took / 1000)} s`);
      this.done[kind] = (this.done[kind] ?? 0) + 1;
      this.longest[kind] = Math.max(this.longest[kind] ?? 0, Math.round(took / 1000));
      await sleep(this.#random.below(PAUSE_MS), undefined, { signal: over }).catch(() => {});
    }
  }

  async #make(kind: Kind): Promise<void> {
    const { catalogue, nodes } = this.#cluster;
    const name = catalogue.names[this.#random.below(catalogue.names.length)]!;
    const victim = 1 + this.#random.below(Math.max(1, nodes.length - 1));
    if (kind === 'kill' || kind === 'drain' || kind === 'pause') {
      if (!nodes[victim]) return;
      this.#complaints.disturbed();
      if (kind === 'pause') await this.#pause(victim);
      else await this.#replace(victim, kind === 'kill' ? 'SIGKILL' : 'SIGTERM');
      this.#complaints.disturbed();
      return;
    }
    const { length } = catalogue.versions(name);
    const adds = length === 0 || (length < MAX_VERSIONS && kind !== 'delete');
    if (!adds) await this.#cluster.remove(name);
    else await (kind === 'train' ? this.#cluster.train(name) : this.#cluster.import(name));
  }

  async #replace(index: number, signal: NodeJS.Signals): Promise<void> {
    this.#doomed.add(index);
    const node = this.#cluster.nodes[index]!;
    const asked = performance.now();
    node.signal(signal);
    await node.exited;
    const took = performance.now() - asked;
    if (took > LONGEST_DRAIN_MS)
      this.#complaints.add(`a node took ${Math.round(took / 1000)} s to end on ${signal}: ${node.lastWords}`);
    await this.#cluster.restartNode(index);
    this.#doomed.delete(index);
    this.#guard(index);
  }

  /** Complains if a node ends without being made to. */
  #guard(index: number): void {
    const node = this.#cluster.nodes[index]!;
    void node.exited.then(([code, signal]) => {
      if (this.#doomed.has(index) || this.#cluster.isClosing) return;
      this.#complaints.add(`node ${index} ended by itself (${signal ?? `code ${code}`}): ${node.lastWords}`);
      void this.#cluster.restartNode(index).then(() => this.#guard(index));
    });
  }

  /** Pauses a node like a machine that hangs. */
  async #pause(index: number): Promise<void> {
    const node = this.#cluster.nodes[index]!;
    node.signal('SIGSTOP');
    await sleep(this.#random.below(LONGEST_HANG_MS));
    node.signal('SIGCONT');
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../gpu-node/random.ts';
import type { Cluster } from '../../test/support/cluster.ts';

/** Milliseconds between two faults, at most. */
const PAUSE_MS = 4000;
/** A name never has more versions. */
const MAX_VERSIONS = 4;
const KINDS = ['kill', 'drain', 'pause', 'delete', 'delete', 'import', 'import', 'train'] as const;
type Kind = (typeof KINDS)[number];

/** What goes wrong in a cluster: one node at a time is killed, drained or paused; versions come, by import and by training, and go. */
export class Faults {
  readonly done: Partial<Record<Kind, number>> = {};
  /** Changes that the edge refused, in words. */
  readonly failed: string[] = [];
  readonly #cluster: Cluster;
  readonly #random: Random;

  constructor(cluster: Cluster, random: Random) {
    this.#cluster = cluster;
    this.#random = random;
  }

  /** One after another, until `over` is aborted. */
  async run(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const kind = KINDS[this.#random.below(KINDS.length)]!;
      await this.#make(kind).catch((error) => this.failed.push(`${kind}: ${error.message}`));
      this.done[kind] = (this.done[kind] ?? 0) + 1;
      await sleep(this.#random.below(PAUSE_MS), undefined, { signal: over }).catch(() => {});
    }
  }

  async #make(kind: Kind): Promise<void> {
    const { catalogue, nodes } = this.#cluster;
    const name = catalogue.names[this.#random.below(catalogue.names.length)]!;
    const victim = this.#random.below(nodes.length);
    if (kind === 'kill') await this.#replace(victim, 'SIGKILL');
    else if (kind === 'drain') await this.#replace(victim, 'SIGTERM');
    else if (kind === 'pause') await this.#pause(victim);
    else {
      const { length } = catalogue.versions(name);
      const adds = length === 0 || (length < MAX_VERSIONS && kind !== 'delete');
      if (!adds) await this.#cluster.remove(name);
      else await (kind === 'train' ? this.#cluster.train(name) : this.#cluster.import(name));
    }
  }

  async #replace(index: number, signal: NodeJS.Signals): Promise<void> {
    const node = this.#cluster.nodes[index]!;
    node.signal(signal);
    await node.exited;
    await this.#cluster.restartNode(index);
  }

  /** As a machine that hangs, for as long as a serving lease lasts and a little. */
  async #pause(index: number): Promise<void> {
    const node = this.#cluster.nodes[index]!;
    node.signal('SIGSTOP');
    await sleep(this.#random.below(3 * PAUSE_MS));
    node.signal('SIGCONT');
  }
}

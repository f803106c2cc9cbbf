import type { Random } from '../../gpu-node/random.ts';
import type { Cluster } from '../../test/support/cluster.ts';
import type { Complaints } from './complaints.ts';
import { ACTS } from './hostile-acts.ts';
import { HostileClient } from './hostile-client.ts';

const PAUSE_MS = 2000;
/** Most runs at once of an act that waits long. */
const MAX_UNDER_WAY = 40;

/** A tenant of many hostile clients, all at once and for as long as the soak lasts. */
export class Hostile {
  /** Number of times each act was done. */
  readonly done: Record<string, number> = {};
  readonly #cluster: Cluster;
  readonly #key: string;
  readonly #random: Random;
  readonly #complaints: Complaints;
  readonly #underWay = new Set<Promise<void>>();

  constructor(cluster: Cluster, key: string, random: Random, complaints: Complaints) {
    this.#cluster = cluster;
    this.#key = key;
    this.#random = random;
    this.#complaints = complaints;
  }

  /** Starts one act after another, without waiting for earlier ones, until `over` is aborted. */
  async run(over: AbortSignal): Promise<void> {
    const client = new HostileClient(this.#cluster, this.#key, this.#random, over);
    const names = Object.keys(ACTS);
    while (!over.aborted) {
      if (this.#underWay.size < MAX_UNDER_WAY) this.#begin(names[this.#random.below(names.length)]!, client);
      await client.wait(this.#random.below(PAUSE_MS));
    }
    await Promise.all(this.#underWay);
  }

  #begin(name: string, client: HostileClient): void {
    const act = ACTS[name]!(client)
      .catch((error: Error) => this.#complaints.add(`a client that ${name}: ${error.message}`))
      .finally(() => {
        this.done[name] = (this.done[name] ?? 0) + 1;
        this.#underWay.delete(act);
      });
    this.#underWay.add(act);
  }
}

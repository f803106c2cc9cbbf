/**
 * Simulates many nodes with the project's own policies: an isolate's choice of a node (rendezvous hashing with bounded loads, in-flight
 * rows and reports as in the edge), and a node's choice of adapters to hold. Only the policies run, so a million adapters take seconds.
 * Everything is seeded: the same options print the same numbers.
 *
 *     node bench/simulate.ts [--adapters 1000000] [--zipf 1] [--nodes 100] [--slots 256] [--rate 1000] [--isolates 10]
 *                            [--requests 300000] [--seed 1]
 *
 * A request is one text for an adapter drawn by Zipf's law. A node answers its texts one after another. At the start every adapter is on
 * the disk of its first node, as if each had been asked for once, and the slots are empty.
 */
import { parseArgs } from 'node:util';
import type { LiveNode } from '../edge/base-models.ts';
import { ExpiringCache } from '../edge/expiring-cache.ts';
import { NodeTraffic } from '../edge/nodes/node-traffic.ts';
import { pickNode } from '../edge/nodes/pick-node.ts';
import { Random } from '../gpu-node/random.ts';
import { costs, type Usage } from './simulate/costs.ts';
import { SimulatedNode } from './simulate/node.ts';
import { zipf } from './simulate/zipf.ts';

const { values } = parseArgs({
  options: {
    adapters: { type: 'string', default: '1000000' },
    zipf: { type: 'string', default: '1' },
    nodes: { type: 'string', default: '100' },
    slots: { type: 'string', default: '256' },
    rate: { type: 'string', default: '1000' },
    isolates: { type: 'string', default: '10' },
    requests: { type: 'string', default: '300000' },
    seed: { type: 'string', default: '1' },
  },
});
const option = (name: keyof typeof values) => Number(values[name]);
const [SLOTS, ISOLATES, REQUESTS, SEED] = (['slots', 'isolates', 'requests', 'seed'] as const).map(
  option,
) as [number, number, number, number];

/** The bounds of edge/nodes/isolate.ts. */
const REMEMBERED = { ttlMs: 600_000, max: 50_000 };
/** Requests per window of the hit rate while nodes recover. */
const WINDOW = 5_000;

interface Isolate {
  traffic: NodeTraffic;
  adapters: ExpiringCache<true>;
}

/** The results of a stretch of requests. */
interface Stretch {
  hits: number;
  /** Number of texts that each node answered. */
  served: Map<LiveNode, number>;
  /** Milliseconds from a request to its answer. */
  latencies: number[];
  usage: Usage;
  /** Hit rates of consecutive windows. */
  windows: number[];
}

/** The edge's isolates and the nodes, on a simulated clock. */
class Simulation {
  readonly #random = new Random(SEED, 'requests');
  readonly #draw = zipf(option('adapters'), option('zipf'));
  readonly #bounded: boolean;
  readonly #nodes = new Map<LiveNode, SimulatedNode>();
  readonly #isolates: Isolate[];
  /** The callbacks that are due, by millisecond. */
  readonly #ends = new Map<number, (() => void)[]>();
  #now = 0;
  #ended = 0;

  constructor(nodes: number, bounded = true) {
    this.#bounded = bounded;
    const now = () => this.#now;
    this.#isolates = Array.from({ length: ISOLATES }, () => ({
      traffic: new NodeTraffic(now),
      adapters: new ExpiringCache({ ...REMEMBERED, now }),
    }));
    for (let i = 0; i < nodes; i++) this.join(i);
    for (let i = 0; i < option('adapters'); i++) {
      const adapter = `bundle-${i}`;
      this.#nodes.get(pickNode(this.nodes, adapter)!)!.store(adapter);
    }
  }

  get nodes(): LiveNode[] {
    return [...this.#nodes.keys()];
  }

  join(number: number): void {
    this.#nodes.set({ id: `node_${number}`, url: '', baseModels: [] }, new SimulatedNode(SLOTS));
  }

  leave(node: LiveNode): void {
    this.#nodes.delete(node);
  }

  run(requests: number, rate: number): Stretch {
    const stretch: Stretch = {
      hits: 0,
      served: new Map(this.nodes.map((node) => [node, 0])),
      latencies: [],
      usage: { requests, resolutions: 0, downloads: 0 },
      windows: [],
    };
    const nodes = this.nodes;
    let hitsBefore = 0;
    for (let i = 1; i <= requests; i++) {
      this.#pass(-Math.log(1 - this.#random.uniform()) * (1000 / rate));
      this.#request(nodes, stretch);
      if (i % WINDOW === 0) {
        stretch.windows.push((stretch.hits - hitsBefore) / WINDOW);
        hitsBefore = stretch.hits;
      }
    }
    return stretch;
  }

  #request(nodes: LiveNode[], stretch: Stretch): void {
    const adapter = `bundle-${this.#draw(this.#random)}`;
    const { traffic, adapters } = this.#isolates[this.#random.below(ISOLATES)]!;
    if (!adapters.get(adapter)) {
      stretch.usage.resolutions++;
      adapters.set(adapter, true);
    }
    const load = this.#bounded ? ({ id }: LiveNode) => traffic.load(id) : undefined;
    const picked = pickNode(nodes, adapter, load)!;
    const node = this.#nodes.get(picked)!;
    const { tier, doneAt } = node.answer(adapter, this.#now);
    if (tier === 'slot') stretch.hits++;
    if (tier === null) stretch.usage.downloads++;
    stretch.served.set(picked, stretch.served.get(picked)! + 1);
    stretch.latencies.push(doneAt - this.#now);
    const end = traffic.begin(picked.id, 1, 30_000);
    this.#at(doneAt, () => end({ waiting: node.waiting(this.#now) }));
  }

  #at(time: number, action: () => void): void {
    const millisecond = Math.ceil(time);
    const actions = this.#ends.get(millisecond);
    if (actions) actions.push(action);
    else this.#ends.set(millisecond, [action]);
  }

  #pass(ms: number): void {
    const until = this.#now + ms;
    while (this.#ended < until) {
      const actions = this.#ends.get(this.#ended);
      this.#now = Math.max(this.#now, this.#ended);
      for (const action of actions ?? []) action();
      this.#ends.delete(this.#ended);
      this.#ended++;
    }
    this.#now = until;
  }
}

function describe(name: string, { hits, served, latencies, usage }: Stretch): void {
  const loads = [...served.values()];
  const mean = usage.requests / loads.length;
  const sorted = Float64Array.from(latencies).sort();
  const at = (fraction: number) => `${Math.round(sorted[Math.floor(fraction * (sorted.length - 1))]!)} ms`;
  print(name, {
    'hit rate': percent(hits / usage.requests),
    'max / mean load': (Math.max(...loads) / mean).toFixed(2),
    'median, p99 latency': `${at(0.5)}, ${at(0.99)}`,
  });
}

function print(title: string, rows: Record<string, string>): void {
  console.log(`\n${title}`);
  for (const [name, value] of Object.entries(rows)) console.log(`  ${name.padEnd(36)} ${value}`);
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** Requests until a window's hit rate is within a point of the rate before. */
function recovery({ windows }: Stretch, before: number): string {
  const window = windows.findIndex((rate) => rate >= before - 0.01);
  return window < 0 ? `more than ${REQUESTS}` : `at most ${(window + 1) * WINDOW}`;
}

/** The share of adapters, weighted by how often they are asked for, whose first node has changed. */
function moved(before: LiveNode[], after: LiveNode[]): string {
  const draw = zipf(option('adapters'), option('zipf'));
  const random = new Random(SEED, 'moved');
  const sample = 50_000;
  const counts = { adapters: 0, requests: 0 };
  const isMoved = (i: number) => pickNode(before, `bundle-${i}`)!.id !== pickNode(after, `bundle-${i}`)!.id;
  for (let i = 0; i < sample; i++) {
    counts.adapters += Number(isMoved(random.below(option('adapters'))));
    counts.requests += Number(isMoved(draw(random)));
  }
  return `${percent(counts.adapters / sample)} of adapters, ${percent(counts.requests / sample)} of requests`;
}

const rate = option('rate');
const simulation = new Simulation(option('nodes'));
console.log(
  `${values.adapters} adapters by Zipf ${values.zipf}, ${values.nodes} nodes of ${values.slots} slots, ` +
    `${rate} requests/s, ${ISOLATES} isolates, seed ${SEED}`,
);
describe(`the first ${REQUESTS} requests`, simulation.run(REQUESTS, rate));
const steady = simulation.run(REQUESTS, rate);
describe(`the next ${REQUESTS}`, steady);
const rateBefore = steady.hits / REQUESTS;

const before = simulation.nodes;
simulation.join(option('nodes'));
print('a node joins', {
  moved: moved(before, simulation.nodes),
  'requests until the hit rate is back': recovery(simulation.run(REQUESTS / 2, rate), rateBefore),
});
const full = simulation.nodes;
simulation.leave(full[0]!);
print('a node leaves', {
  moved: moved(full, simulation.nodes),
  'requests until the hit rate is back': recovery(simulation.run(REQUESTS / 2, rate), rateBefore),
});

print(
  `what a request costs, and a month of ${rate} requests/s`,
  costs(steady.usage, { rate, nodes: option('nodes') }),
);

const busy = 5 * rate;
for (const bounded of [false, true]) {
  const crowd = new Simulation(option('nodes'), bounded);
  crowd.run(REQUESTS / 4, busy);
  describe(`${busy} requests/s, ${bounded ? 'bounded' : 'unbounded'} loads`, crowd.run(REQUESTS / 2, busy));
}

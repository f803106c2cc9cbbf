/**
 * Keeps an edge and three nodes under mixed load while things go wrong at seeded moments, and checks every answer:
 *
 *     npm run soak -- [--minutes 5] [--nodes 3] [--connections 12] [--seed 1]
 *
 * Nodes are killed, drained and paused, adapters imported, trained and deleted, one after another. A line each ten seconds and a summary
 * at the end tell of requests, failures by kind, wrong answers and each process's memory. Ends with code 1 where an answer was
 * wrong or a request failed. SIGINT ends it early; a terminal's reaches the nodes too, so that the last requests may fail.
 * The local edge's memory grows by some 13 KB a request: workerd's own, the Worker's heap stays at 7 MB.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Random } from '../gpu-node/random.ts';
import { Cluster } from '../test/support/cluster.ts';
import { numberOptions } from './number-options.ts';
import { Faults } from './soak/faults.ts';
import { MemoryLog } from './soak/memory.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    nodes: { type: 'string', default: '3' },
    connections: { type: 'string', default: '12' },
    seed: { type: 'string', default: '1' },
  },
});
const { minutes, nodes, connections, seed } = numberOptions(values, [
  'minutes',
  'nodes',
  'connections',
  'seed',
]);

const ADAPTERS = 40;
const LINE_MS = 10_000;

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());

console.log(`an edge, ${nodes} nodes, ${ADAPTERS} adapters, ${connections} connections, seed ${seed}`);
await using cluster = await Cluster.start(nodes);
await cluster.import(...Array.from({ length: ADAPTERS }, (_, i) => `adapter-${i}`));
const load = cluster.load({ connections, maxRows: 16, seed });
const faults = new Faults(cluster, new Random(seed, 'faults'));
const memory = new MemoryLog();
const over = AbortSignal.any([stop.signal, AbortSignal.timeout(60_000 * minutes)]);
const started = performance.now();
const faulting = faults.run(over);
while (!over.aborted) {
  await sleep(LINE_MS, undefined, { signal: over }).catch(() => {});
  const { right, failures, wrong } = load;
  const seconds = Math.round((performance.now() - started) / 1000);
  const sizes = await memory.sample(cluster);
  console.log(`${seconds} s: ${right} right, ${failures} failed, ${wrong.length} wrong; MB: ${sizes}`);
}
await faulting;
const report = await load.stop();
const seconds = (performance.now() - started) / 1000;
console.log(
  `\n${load.right} requests answered right in ${Math.round(seconds)} s, ${(load.right / seconds).toFixed(1)} a second`,
);
console.log(`failed: ${JSON.stringify(report.failed)}`);
console.log(`wrong: ${report.wrong.length}`);
for (const wrong of report.wrong.slice(0, 10)) console.log(`  ${wrong}`);
console.log(`faults: ${JSON.stringify(faults.done)}; changes that failed: ${JSON.stringify(faults.failed)}`);
console.log(memory.summary());
process.exitCode = report.wrong.length + load.failures + faults.failed.length > 0 ? 1 : 0;

/**
 * Keeps an edge and three nodes under mixed load while faults happen at seeded moments and hostile clients do their worst, and checks every
 * answer:
 *
 *     npm run soak -- [--minutes 5] [--nodes 3] [--connections 4] [--seed 1]
 *
 * There are two tenants. The quiet one classifies, imports, trains and deletes. Every answer to it must be right, never stale and never
 * another's; a request may fail only while a node has just been killed, drained or paused. The hostile one does the acts of
 * `soak/hostile-acts.ts`; it must be refused in words. The first node is never touched, so that it shows what grows. A line every ten
 * seconds and a summary at the end report requests, acts, memory, open files and objects. The command ends with code 1 and the reasons if
 * anything was wrong. SIGINT ends it early; a terminal's reaches the nodes too, so that the last requests may fail.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Random } from '../gpu-node/random.ts';
import { Cluster } from '../test/support/cluster.ts';
import { numberOptions } from './number-options.ts';
import { Complaints } from './soak/complaints.ts';
import { Faults } from './soak/faults.ts';
import { Hostile } from './soak/hostile.ts';
import { Resources } from './soak/resources.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    nodes: { type: 'string', default: '3' },
    connections: { type: 'string', default: '4' },
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
const CRON_MS = 60_000;
/** Saves states so often that one is on its way at any moment of a training. */
const NODE_ENV = { WEFT_CHECKPOINT_SECONDS: '1' };

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());

console.log(`an edge, ${nodes} nodes, ${ADAPTERS} adapters, ${connections} connections, seed ${seed}`);
await using cluster = await Cluster.start(nodes, NODE_ENV);
await cluster.import(...Array.from({ length: ADAPTERS }, (_, i) => `adapter-${i}`));
const complaints = new Complaints();
// The key is made before the load begins, because another process makes it and holds the edge's database for a moment.
const hostileKey = await cluster.keyOf('hostile');
const load = cluster.load({
  connections,
  maxRows: 16,
  seed,
  pauseMs: 200,
  onFailure: (problem) => complaints.failedRequest(problem),
});
const faults = new Faults(cluster, new Random(seed, 'faults'), complaints);
const hostile = new Hostile(cluster, hostileKey, new Random(seed, 'hostile'), complaints);
const resources = new Resources();
const over = AbortSignal.any([stop.signal, AbortSignal.timeout(60_000 * minutes)]);
const started = performance.now();
const seconds = () => Math.round((performance.now() - started) / 1000);
const cron = setInterval(
  () => void cluster.runCron().catch((error) => complaints.add(`the cron failed: ${error.message}`)),
  CRON_MS,
);
const working = [faults.run(over), hostile.run(over)];
while (!over.aborted) {
  await sleep(LINE_MS, undefined, { signal: over }).catch(() => {});
  const { right, failures, wrong } = load;
  const acts = Object.values(hostile.done).reduce((sum, count) => sum + count, 0);
  const sizes = await resources.sample(cluster);
  console.log(
    `${seconds()} s: ${right} right, ${failures} failed, ${wrong.length} wrong, ${acts} acts; ${sizes}`,
  );
}
await Promise.all(working);
clearInterval(cron);
const report = await load.stop();
for (const wrong of report.wrong) complaints.add(wrong);
if (load.right === 0) complaints.add('no request was answered');
for (const leak of resources.leaks(load.right)) complaints.add(leak);
console.log(`
${load.right} requests answered right in ${seconds()} s, ${(load.right / seconds()).toFixed(1)} a second
wrong: ${report.wrong.length}; failed: ${JSON.stringify(report.failed)}, of them ${complaints.excused} while a node was missed
faults: ${JSON.stringify(faults.done)}; the longest, in seconds: ${JSON.stringify(faults.longest)}
hostile acts: ${JSON.stringify(hostile.done, null, 2)}
${resources.summary()}
complaints: ${complaints.list.length}`);
for (const complaint of complaints.list) console.log(`  ${complaint}`);
process.exitCode = complaints.list.length > 0 ? 1 : 0;

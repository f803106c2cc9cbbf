import { parentPort, workerData } from 'node:worker_threads';
import { Random } from '../../gpu-node/random.ts';
import { Coverage } from './coverage.ts';
import { fuzz } from './engine.ts';
import { guarded } from './guard.ts';
import type { FromWorker, WorkerInput } from './watched.ts';

/* Fuzzes one target in a thread that may hang or run out of memory. */

const { target, seed, milliseconds, clock, record } = workerData as WorkerInput;
const tell = (message: FromWorker) => parentPort!.postMessage(message);

const coverage = new Coverage();
// V8 reports code loaded before the coverage only by whole functions, so the targets are loaded after it.
const { TARGETS } = await import('./targets.ts');
const check = guarded(await TARGETS[target]!());
// Blocks reached by opening the target are no input's merit.
coverage.reachedNew();
const end = performance.now() + milliseconds;
const inputs = await fuzz({
  check,
  random: new Random(seed, target),
  reachedNew: () => coverage.reachedNew(),
  isOver: () => performance.now() > end,
  onFinding: (finding) => tell({ type: 'finding', finding }),
  onInput: () => void Atomics.add(clock, 0, 1),
  record,
});
tell({ type: 'done', inputs, blocks: coverage.blocks });

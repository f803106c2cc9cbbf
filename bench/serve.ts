/**
 * Times a mixed batch, each row on an adapter of its own, beside the same batch on the bare base model (encoder and
 * pooling, no adapter, no classifier). Both run in turn, in the order ABBA, so that both meet the same machine.
 *
 *     node bench/serve.ts [--data FOLDER] [--base ID|FOLDER] [--runs 30] [--rows 32] [--length 64] [--threads 2]
 *                         [--r 8] [--labels 4] [--targets query,value]
 *
 * `--data` names a folder with a train.jsonl of `{"text", "label"}` lines; no text is used twice. Without it the batches
 * are random tokens, unpadded.
 */
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { Graph } from '../gpu-node/graph/builder.ts';
import { encodeModel } from '../gpu-node/graph/onnx.ts';
import { createLog } from '../gpu-node/log.ts';
import { encoderFeeds, encoderInputs } from '../gpu-node/models/inputs.ts';
import { type BaseModel, plainLinear } from '../gpu-node/models/model.ts';
import { openBaseModel } from '../gpu-node/models/open-base-model.ts';
import type { ServedAdapter } from '../gpu-node/peft/method.ts';
import { matchTargets } from '../gpu-node/peft/targets.ts';
import { Random } from '../gpu-node/random.ts';
import { RUNTIME_VERSION, Session } from '../gpu-node/runtime/session.ts';
import { Forward, type ForwardRow, padRows } from '../gpu-node/serve/forward.ts';
import { locateBaseModel } from '../gpu-node/weights/locate-base-model.ts';
import { homeFolder } from '../scripts/home.ts';
import { batchesOfTexts, randomBatches } from './batches.ts';
import { median, quartiles } from './statistics.ts';

/** Runs at the start that are not counted: they allocate, and the first loads every adapter. */
const WARMUP = 3;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    base: { type: 'string', default: 'minilm-l6-384' },
    runs: { type: 'string', default: '30' },
    rows: { type: 'string', default: '32' },
    length: { type: 'string', default: '64' },
    threads: { type: 'string', default: '2' },
    r: { type: 'string', default: '8' },
    labels: { type: 'string', default: '4' },
    targets: { type: 'string', default: 'query,value' },
  },
});
const { runs, rows, length, threads, r, labels } = Object.fromEntries(
  Object.entries(values).map(([name, value]) => [name, Number(value)]),
) as Record<'runs' | 'rows' | 'length' | 'threads' | 'r' | 'labels', number>;

const home = homeFolder();
const located = await locateBaseModel(values.base, { home, log: createLog(process.stderr, true) });
const base = await openBaseModel({ ...located, weightsFolder: `${home}/weights` });
const count = runs + WARMUP;
const { batches } = values.data
  ? await batchesOfTexts(values.data, located.folder, { count, rows, length })
  : randomBatches(base.architecture.vocabSize, { count, rows, length });

const bare = await bareSession(base, threads);
const layers = matchTargets(values.targets.split(','), base.architecture.linears('mean'));
const forward = await Forward.create({ base, kind: 'lora', layers, slots: rows, device: 'cpu', threads });
const random = new Random(1, 'adapters');
for (let i = 0; i < rows; i++) forward.load(`adapter ${i}`, randomAdapter({ rank: r, labels }), 'mean');

const times: { mixed: number[]; bare: number[] } = { mixed: [], bare: [] };
for (const [i, batch] of batches.entries()) {
  const texts: ForwardRow[] = batch.map(({ ids }, row) => ({
    ids: Int32Array.from(ids),
    adapter: `adapter ${row}`,
  }));
  const timed = {
    mixed: () => forward.run(texts),
    bare: () => bare.run(encoderFeeds(padRows(texts))),
  };
  for (const which of i % 2 ? (['mixed', 'bare'] as const) : (['bare', 'mixed'] as const)) {
    const start = performance.now();
    await timed[which]();
    if (i >= WARMUP) times[which].push(performance.now() - start);
  }
}
if (forward.runs !== count) throw new Error(`${count} mixed batches took ${forward.runs} runs`);
await Promise.all([bare.release(), forward.release()]);

const ratios = times.mixed.map((mixed, i) => mixed / times.bare[i]!);
const show = (ms: readonly number[]) => {
  const [low, high] = quartiles(ms);
  return `${median(ms).toFixed(1)} ms (quartiles ${low.toFixed(1)}-${high.toFixed(1)}, best ${Math.min(...ms).toFixed(1)})`;
};
console.log(
  `machine   ${cpus()[0]?.model}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
);
console.log(`versions  node ${process.version}, onnxruntime ${RUNTIME_VERSION}`);
console.log(
  `shape     ${located.id}, ${rows} x ${length} tokens of ${values.data ?? 'random ids'}, ${rows} adapters of r ${r} on ${values.targets}, fp32, ${threads} threads`,
);
console.log(`mixed     ${show(times.mixed)}`);
console.log(`bare      ${show(times.bare)}`);
console.log(
  `ratio     ${median(ratios).toFixed(3)} (median of ${ratios.length} pairs; of the best runs ${(Math.min(...times.mixed) / Math.min(...times.bare)).toFixed(3)})`,
);

function bareSession({ architecture, weights, weightsFolder }: BaseModel, threads: number): Promise<Session> {
  const graph = new Graph('bare');
  const inputs = encoderInputs(graph, 'batch-first');
  const hidden = architecture.encode(weights, inputs, plainLinear);
  graph.output('pooled', architecture.pool('mean', hidden, weights, inputs, plainLinear));
  return Session.create(encodeModel(graph), { name: 'bare', weightsFolder, threads });
}

/** An adapter whose every tensor is random. */
function randomAdapter(sizes: { rank: number; labels: number }): ServedAdapter {
  return {
    sizes,
    fill: (_stack, _sizes, slot) => {
      for (let i = 0; i < slot.length; i++) slot[i] = 0.02 * random.normal();
    },
  };
}

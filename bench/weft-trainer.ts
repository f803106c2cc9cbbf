/** Weft's side of the benchmarks of training: reads a setup line, then a batch a line; answers each with time and loss. */
import { createInterface } from 'node:readline';
import { withPlaceholders } from '../gpu-node/data/placeholders.ts';
import { placeholdersOf } from '../gpu-node/methods/index.ts';
import { openBaseModel } from '../gpu-node/models/open-base-model.ts';
import { RUNTIME_VERSION } from '../gpu-node/runtime/session.ts';
import { AdamW, clipGradients } from '../gpu-node/train/optimizers.ts';
import type { TrainingExample } from '../gpu-node/train/parts.ts';
import { TrainingRunner } from '../gpu-node/train/runner.ts';
import { virtualTokensOf } from '../shared/methods/text-room.ts';
import type { Step, TrainerSetup } from './trainer-process.ts';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const setup = JSON.parse((await lines.next()).value ?? '') as TrainerSetup;
const { config, labels, threads, learningRate, clip } = setup;
const placeholders = placeholdersOf(config, virtualTokensOf(config));

const base = await openBaseModel(setup.base, config.base_precision);
const runner = await TrainingRunner.create({ base, config, labels }, { seed: 1, device: 'cpu', threads });
const optimizer = new AdamW(runner.parameters, { weightDecay: 0.01 });
answer({
  versions: `node ${process.version}, onnxruntime ${RUNTIME_VERSION}`,
  parameters: Object.fromEntries(runner.parameters.map(({ name, data }) => [name, [...data]])),
});
for await (const line of { [Symbol.asyncIterator]: () => lines }) {
  answer(await step(JSON.parse(line) as TrainingExample[]));
}
answer({ peakMiB: process.resourceUsage().maxRSS / 1024 });
await runner.release();

async function step(texts: readonly TrainingExample[]): Promise<Step> {
  const batch = texts.map(({ ids, label }) => ({
    ids: withPlaceholders(placeholders, Int32Array.from(ids)),
    label,
  }));
  const cpu = process.cpuUsage();
  const start = performance.now();
  const { loss, gradients } = await runner.step(batch);
  clipGradients(gradients, clip);
  optimizer.step(gradients, learningRate);
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { loss, ms, cpuMs: (user + system) / 1000 };
}

function answer(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

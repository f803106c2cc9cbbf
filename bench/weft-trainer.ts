/** Weft's side of bench/train.ts: reads a setup line, then a batch a line; answers each with time and loss. */
import { createInterface } from 'node:readline';
import { openBaseModel } from '../gpu-node/models/open-base-model.ts';
import { RUNTIME_VERSION } from '../gpu-node/runtime/session.ts';
import { AdamW, clipGradients } from '../gpu-node/train/optimizers.ts';
import type { TrainingExample } from '../gpu-node/train/parts.ts';
import { TrainingRunner } from '../gpu-node/train/runner.ts';
import { basePrecision } from '../shared/peft-config.ts';
import type { Step, TrainerSetup } from './trainer-process.ts';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const setup = JSON.parse((await lines.next()).value ?? '') as TrainerSetup;
const precision = basePrecision.parse(setup.precision);
const { r, labels, threads, learningRate, clip } = setup;

const base = await openBaseModel(setup.base, precision);
const runner = await TrainingRunner.create(
  {
    base,
    config: {
      type: 'lora',
      target_modules: ['query', 'value'],
      r,
      alpha: 2 * r,
      dropout: setup.adapterDropout,
      use_rslora: false,
      use_dora: false,
      pooling: 'mean',
      base_precision: precision,
    },
    labels,
  },
  { seed: 1, device: 'cpu', threads },
);
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

async function step(batch: readonly TrainingExample[]): Promise<Step> {
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

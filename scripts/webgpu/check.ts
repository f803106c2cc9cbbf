import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadAdapter, methodOf, planOf } from '../../gpu-node/methods/index.ts';
import type { BaseModel } from '../../gpu-node/models/model.ts';
import { openBaseModel } from '../../gpu-node/models/open-base-model.ts';
import { bytesIn } from '../../gpu-node/parts/part.ts';
import { Random } from '../../gpu-node/random.ts';
import { type Device, resolveDevice } from '../../gpu-node/runtime/device.ts';
import { Forward } from '../../gpu-node/serve/forward.ts';
import type { TrainingExample } from '../../gpu-node/train/parts.ts';
import { TrainingRunner } from '../../gpu-node/train/runner.ts';
import { savedTensors } from '../../gpu-node/train/saved-tensors.ts';
import { writeAdapterFiles } from '../../gpu-node/weights/adapter-file.ts';
import { parseAdapterConfig } from '../../shared/adapter-config.ts';
import { describeAdapter } from '../../shared/adapter-description.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE } from '../../shared/adapter-format.ts';
import type { PeftConfig } from '../../shared/peft-config.ts';
import { ADAPTER_HEADER_BYTES, parseHeader } from '../../shared/safetensors.ts';

const MODELS = ['tiny-bert', 'tiny-roberta', 'tiny-distilbert'];
const CASES = [
  { pooling: 'mean', base_precision: 'fp32', use_dora: false },
  { pooling: 'cls', base_precision: 'fp32', use_dora: false },
  { pooling: 'mean', base_precision: 'fp32', use_dora: true },
  { pooling: 'mean', base_precision: 'nf4', use_dora: false },
] as const satisfies Partial<PeftConfig>[];
const LABELS = 3;
/** Largest accepted difference of the two providers' results, relative to the largest element. */
const TOLERANCE = 1e-4;

const device = await resolveDevice('webgpu').catch((error: Error) => {
  console.error(`there is no WebGPU device here (${error.message}); --lavapipe fetches a software one`);
  process.exit(1);
});
const folder = await mkdtemp(join(tmpdir(), 'weft-webgpu-'));
let failed = false;
try {
  for (const model of MODELS) {
    for (const choices of CASES) {
      const source = {
        id: model,
        folder: `test/fixtures/${model}`,
        sha256: '0'.repeat(64),
        weightsFolder: await mkdtemp(join(folder, 'weights-')),
      };
      const base = await openBaseModel(source, choices.base_precision);
      const config: PeftConfig = {
        type: 'lora',
        target_modules: 'all-linear',
        r: 4,
        alpha: 8,
        dropout: 0.1,
        use_rslora: false,
        ...choices,
      };
      const onCpu = await results(base, config, 'cpu');
      const onGpu = await results(base, config, device);
      const method = choices.use_dora ? 'DoRA' : 'LoRA';
      const name = `${model} ${choices.base_precision}, ${method}, ${choices.pooling} pooling`.padEnd(44);
      const worst = {
        step: difference(onGpu.step, onCpu.step),
        serving: difference(onGpu.served, onCpu.served),
      };
      const fits = worst.step < TOLERANCE && worst.serving < TOLERANCE;
      failed ||= !fits;
      console.log(
        `${fits ? 'ok  ' : 'FAIL'} ${name} training step ${worst.step.toExponential(1)}, serving ${worst.serving.toExponential(1)}`,
      );
    }
  }
} finally {
  await rm(folder, { recursive: true });
}
process.exitCode = failed ? 1 : 0;

/** Returns loss and gradients of a training step, and logits of the serving graph, each as one list of vectors. */
async function results(base: BaseModel, config: PeftConfig, on: Device) {
  const runner = await TrainingRunner.create(
    { base, config, labels: LABELS },
    { seed: 1, device: on, threads: 1 },
  );
  const { loss, gradients } = await runner.step(batch(base));
  const tensors = new Map(
    runner.parameters.map(({ name, shape, data }) => [name, { shape, data: shaken(name, data) }]),
  );
  await runner.release();
  return { step: [Float32Array.of(loss), ...gradients], served: await serve(base, config, tensors, on) };
}

async function serve(
  base: BaseModel,
  config: PeftConfig,
  tensors: Parameters<typeof writeAdapterFiles>[1]['tensors'],
  on: Device,
) {
  const files = await mkdtemp(join(folder, 'adapter-'));
  const weft = {
    format: 1 as const,
    labels: Array.from({ length: LABELS }, (_, i) => `label ${i}`),
    pooling: config.pooling,
    max_length: 32,
    base_model: 'tiny',
    base_model_sha256: '0'.repeat(64),
    base_precision: config.base_precision,
    metrics: null,
  };
  await writeAdapterFiles(files, {
    method: config,
    encoder: base.architecture,
    modules: methodOf(config).modules(config, base.architecture),
    baseModel: 'tiny',
    revision: null,
    tensors: await savedTensors({ base, config }, tensors),
    weft,
  });
  const weights = await readFile(join(files, ADAPTER_WEIGHTS_FILE));
  const header = parseHeader(weights, weights.length, {
    file: 'adapter',
    maxHeaderBytes: ADAPTER_HEADER_BYTES,
  });
  const description = describeAdapter(
    parseAdapterConfig(await readFile(join(files, ADAPTER_CONFIG_FILE), 'utf8'), 'adapter'),
    header,
    'adapter',
  );
  const forward = await Forward.create({
    base,
    plan: planOf(description, base.architecture, config.pooling),
    slots: 4,

    device: on,
    threads: 1,
  });
  const served = await loadAdapter(description, bytesIn(weights), base);
  forward.load('a', served, config.pooling);
  const rows = batch(base).map(({ ids }, i) => ({
    ids: Int32Array.from(ids),
    adapter: i === 0 ? null : 'a',
  }));
  const logits = await forward.run(rows);
  await forward.release();
  return logits;
}

function batch({ architecture }: BaseModel): TrainingExample[] {
  const random = new Random(2, 'batch');
  return Array.from({ length: 4 }, (_, row) => ({
    ids: Array.from({ length: 5 + 3 * row }, () => 5 + random.below(architecture.vocabSize - 5)),
    label: row % LABELS,
  }));
}

/** Changes an adapter's tensors, because a fresh adapter has no effect. */
function shaken(name: string, data: Float32Array): Float32Array {
  const random = new Random(3, name);
  return data.map((element) => element + 0.1 * random.normal());
}

function difference(actual: readonly Float32Array[], expected: readonly Float32Array[]): number {
  const ratios = expected.map((vector, i) => {
    const scale = vector.reduce((max, x) => Math.max(max, Math.abs(x)), 1e-6);
    return vector.reduce((max, x, k) => Math.max(max, Math.abs(x - actual[i]![k]!) / scale), 0);
  });
  return Math.max(...ratios);
}

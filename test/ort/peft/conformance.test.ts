import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import { transposeMatrix } from '../../../gpu-node/graph/weight-file.ts';
import type { TokenBatch } from '../../../gpu-node/models/inputs.ts';
import type { BaseModel } from '../../../gpu-node/models/model.ts';
import { openBaseModel } from '../../../gpu-node/models/open-base-model.ts';
import { SERVING_METHODS } from '../../../gpu-node/peft/index.ts';
import type { ServedAdapter } from '../../../gpu-node/peft/method.ts';
import { Random } from '../../../gpu-node/random.ts';
import { runOnce } from '../../../gpu-node/runtime/run-once.ts';
import { floats } from '../../../gpu-node/runtime/session.ts';
import type { TrainingTask } from '../../../gpu-node/train/graph.ts';
import { initialParameters } from '../../../gpu-node/train/initial-parameters.ts';
import { train } from '../../../gpu-node/train/loop.ts';
import { AdamW } from '../../../gpu-node/train/optimizers.ts';
import { TrainingRunner } from '../../../gpu-node/train/runner.ts';
import type { AdapterKind } from '../../../shared/adapter-description.ts';
import { BASE_PRECISIONS, type LoraConfig, type Pooling } from '../../../shared/peft-config.ts';
import type { Tensor } from '../../../shared/safetensors.ts';
import { evaluateOnce, loadAdapter, saveAdapter } from '../../support/adapters.ts';
import { MixedServer, type Row } from '../../support/serving.ts';
import { maxDifference, openTinyBert, TINY_BERT, withFolder } from '../../support/tiny-bert.ts';
import { examplesOf, TOY_HYPERPARAMETERS, toyExamples } from '../../support/toy-task.ts';

const LORA: readonly LoraConfig[] = (['mean', 'cls', 'mean', 'cls'] satisfies Pooling[]).map(
  (pooling, i) => ({
    type: 'lora',
    r: [2, 4, 8, 1][i]!,
    alpha: 8,
    dropout: 0,
    use_rslora: i % 2 === 1,
    use_dora: false,
    target_modules: [['query', 'value'], ['key', 'output.dense'], 'all-linear' as const, ['pooler.dense']][
      i
    ]!,
    pooling,
    base_precision: 'fp32',
  }),
);

/** Configurations that must be able to share a batch, by the kind of graph that serves them. */
const CONFIGS: Readonly<Record<AdapterKind, readonly LoraConfig[]>> = {
  lora: LORA,
  dora: LORA.map((config, i) => ({ ...config, use_dora: i !== 1 })),
};

function batchOf(lengths: readonly number[], seed: number): TokenBatch {
  const random = new Random(seed, 'batch');
  const length = Math.max(...lengths);
  const inputIds = new Int32Array(lengths.length * length);
  const attentionMask = new Float32Array(lengths.length * length);
  lengths.forEach((tokens, row) => {
    for (let i = 0; i < tokens; i++) inputIds[row * length + i] = 5 + random.below(190);
    attentionMask.fill(1, row * length, row * length + tokens);
  });
  return { rows: lengths.length, length, inputIds, attentionMask };
}

/** One row of a batch, without its padding. */
function rowOf(batch: TokenBatch, row: number): TokenBatch {
  const begin = row * batch.length;
  const mask = batch.attentionMask.subarray(begin, begin + batch.length);
  const length = mask.reduce((sum, each) => sum + each, 0);
  return {
    rows: 1,
    length,
    inputIds: batch.inputIds.slice(begin, begin + length),
    attentionMask: mask.slice(0, length),
  };
}

type Tensors = Map<string, Tensor>;

/** Tensors as training starts with them, or far from there where `trained`. */
async function tensorsOf(task: TrainingTask, seed: number, trained: boolean): Promise<Tensors> {
  const random = new Random(seed, 'tensors');
  const initial = await initialParameters(task, seed);
  return new Map(
    initial.map(({ name, shape, data }) => [
      name,
      { shape, data: trained ? data.map(() => 0.3 * random.normal()) : data },
    ]),
  );
}

/** Writes an adapter's files and reads them back as serving does. */
async function throughFiles(
  kind: AdapterKind,
  task: TrainingTask,
  tensors: Tensors,
  folder: string,
): Promise<ServedAdapter> {
  await saveAdapter(task, tensors, folder);
  return loadAdapter(folder, task.base, SERVING_METHODS[kind]);
}

const server = (base: BaseModel, kind: AdapterKind) => {
  const layers = base.architecture.linears('cls');
  return MixedServer.create(base, SERVING_METHODS[kind], layers);
};

describe.each(Object.keys(CONFIGS) as AdapterKind[])('%s adapters', (kind) => {
  const configs = CONFIGS[kind];

  it('starts at the base model', () =>
    withFolder(async (folder) => {
      const base = await openTinyBert(folder);
      const mixed = await server(base, kind);
      const tokens = batchOf([9, 4], 1);
      for (const config of configs) {
        const task = { base, config, labels: 2 };
        const adapter = await throughFiles(kind, task, await tensorsOf(task, 3, false), folder);
        const rows = (slot: number): Row[] => [0, 1].map(() => ({ slot, pooling: config.pooling }));
        const bare = await mixed.run([adapter], rows(0), tokens);
        const adapted = await mixed.run([adapter], rows(1), tokens);
        expect(maxDifference(adapted.pooled, bare.pooled)).toBeLessThan(1e-6);
        expect(bare.logits.every((logit) => logit === 0)).toBe(true);
      }
      await mixed.release();
    }));

  it('serves from its files what training evaluated', () =>
    withFolder(async (folder) => {
      const base = await openTinyBert(folder);
      const mixed = await server(base, kind);
      const tokens = batchOf([9, 4, 12], 2);
      for (const [i, config] of configs.entries()) {
        const task = { base, config, labels: 3 };
        const tensors = await tensorsOf(task, 10 + i, true);
        const expected = await evaluateOnce(task, tensors, tokens);
        const adapter = await throughFiles(kind, task, tensors, folder);
        const rows = [0, 1, 2].map(() => ({ slot: 1, pooling: config.pooling }));
        const { logits } = await mixed.run([adapter], rows, tokens);
        expect(maxDifference(logits, expected)).toBeLessThan(1e-5);
      }
      await mixed.release();
    }));

  it('gives a row of a mixed batch what it gets alone, over ranks, targets, poolings and label counts', () =>
    withFolder(async (folder) => {
      const base = await openTinyBert(folder);
      const mixed = await server(base, kind);
      const adapters: ServedAdapter[] = [];
      for (const [i, config] of configs.entries()) {
        const task = { base, config, labels: 2 + i };
        adapters.push(await throughFiles(kind, task, await tensorsOf(task, 20 + i, true), folder));
      }
      const order = [3, 0, 1, 2, 0, 4, 1].filter((slot) => slot <= configs.length);
      const rows = order.map((slot): Row => ({ slot, pooling: configs[slot - 1]?.pooling ?? 'mean' }));
      const tokens = batchOf(
        rows.map((_, i) => 3 + 2 * i),
        4,
      );
      const together = await mixed.run(adapters, rows, tokens);
      for (const [i, row] of rows.entries()) {
        const adapter = adapters[row.slot - 1];
        const single = await mixed.run(
          adapter ? [adapter] : [],
          [{ ...row, slot: adapter ? 1 : 0 }],
          rowOf(tokens, i),
        );
        const begin = i * together.labels;
        expect(
          maxDifference(together.logits.subarray(begin, begin + single.labels), single.logits),
        ).toBeLessThan(1e-5);
        const rest = together.logits.subarray(begin + single.labels, begin + together.labels);
        expect(rest.every((logit) => logit === 0)).toBe(true);
      }
      await mixed.release();
    }));

  it('learns, and leaves the base model as it is', () =>
    withFolder(async (folder) => {
      const base = await openTinyBert(folder);
      const weightsFile = join(folder, Object.values(base.weights.tensors)[0]!.file);
      const before = await readFile(weightsFile);
      for (const config of configs) {
        const losses: number[] = [];
        await train({
          task: { base, config, labels: 2 },
          hyperparameters: TOY_HYPERPARAMETERS,
          labels: ['low', 'high'],
          training: examplesOf(toyExamples(64, 1)),
          validation: examplesOf([]),
          seed: 42,
          device: 'cpu',
          threads: 1,
          onEpoch: ({ loss }) => losses.push(loss),
        });
        expect(losses.at(-1)!).toBeLessThan(losses[0]!);
      }
      expect((await readFile(weightsFile)).equals(before)).toBe(true);
    }));
});

describe('a DoRA adapter', () => {
  it.each(BASE_PRECISIONS)(
    'learns on a base held in %s, and serves there what training evaluated',
    (precision) =>
      withFolder(async (folder) => {
        const source = { id: 'tiny-bert', folder: TINY_BERT, sha256: '0'.repeat(64), weightsFolder: folder };
        const base = await openBaseModel(source, precision);
        const config: LoraConfig = { ...LORA[2]!, dropout: 0.1, use_dora: true, base_precision: precision };
        const task = { base, config, labels: 2 };
        const runner = await TrainingRunner.create(task, { seed: 1, device: 'cpu', threads: 1 });
        const optimizer = new AdamW(runner.parameters, { weightDecay: 0 });
        const batch = toyExamples(16, 1);
        const losses: number[] = [];
        for (let step = 0; step < 12; step++) {
          const { loss, gradients } = await runner.step(batch);
          losses.push(loss);
          optimizer.step(gradients, 1e-2);
        }
        await runner.release();
        expect(losses.at(-1)!).toBeLessThan(0.9 * losses[0]!);

        const tensors = new Map(runner.parameters.map(({ name, shape, data }) => [name, { shape, data }]));
        const tokens = batchOf([9, 4, 12], 5);
        const mixed = await server(base, 'dora');
        const adapter = await throughFiles('dora', task, tensors, folder);
        const { logits } = await mixed.run(
          [adapter],
          [0, 1, 2].map((): Row => ({ slot: 1, pooling: 'mean' })),
          tokens,
        );
        await mixed.release();
        expect(maxDifference(logits, await evaluateOnce(task, tensors, tokens))).toBeLessThan(1e-5);
      }),
  );

  it('is refused where the weights that it changes have come to 0', () =>
    withFolder(async (folder) => {
      const base = await openTinyBert(folder);
      const [layer] = base.architecture.linears('mean');
      const r = layer!.inFeatures;
      const config: LoraConfig = { ...LORA[0]!, r, alpha: r, use_dora: true, target_modules: [layer!.name] };
      const task = { base, config, labels: 2 };
      const tensors = await tensorsOf(task, 30, false);
      const graph = new Graph('weights');
      graph.output('matrix', base.weights.linear(graph, layer!.name).matrix());
      const matrix = floats(await runOnce(graph, base.weightsFolder), 'matrix');
      // A = 1 and B = -W, so that W + B·A is 0.
      tensors.get(`${layer!.name}.lora_A.weight`)!.data.forEach((_, i, a) => {
        a[i] = Number(i % (r + 1) === 0);
      });
      tensors.get(`${layer!.name}.lora_B.weight`)!.data.set(
        transposeMatrix(
          matrix.map((w) => -w),
          r,
          r,
        ),
      );
      await expect(throughFiles('dora', task, tensors, folder)).rejects.toThrow(
        `${layer!.name}.lora_magnitude_vector [32]: the changed weights of output 0 have no norm`,
      );
    }));
});

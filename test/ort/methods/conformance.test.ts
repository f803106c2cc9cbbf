import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import { transposeMatrix } from '../../../gpu-node/graph/weight-file.ts';
import { padToLongest } from '../../../gpu-node/models/inputs.ts';
import type { BaseModel } from '../../../gpu-node/models/model.ts';
import { openBaseModel } from '../../../gpu-node/models/open-base-model.ts';
import { PART_NAMES, PARTS, type ServedAdapter } from '../../../gpu-node/parts/index.ts';
import { Random } from '../../../gpu-node/random.ts';
import { runOnce } from '../../../gpu-node/runtime/run-once.ts';
import { floats } from '../../../gpu-node/runtime/session.ts';
import { Forward } from '../../../gpu-node/serve/forward.ts';
import type { TrainingTask } from '../../../gpu-node/train/graph.ts';
import { initialParameters } from '../../../gpu-node/train/initial-parameters.ts';
import { train } from '../../../gpu-node/train/loop.ts';
import { AdamW } from '../../../gpu-node/train/optimizers.ts';
import { TrainingRunner } from '../../../gpu-node/train/runner.ts';
import { BASE_PRECISIONS, type LoraConfig, type PeftConfig } from '../../../shared/peft-config.ts';
import type { Tensor } from '../../../shared/safetensors.ts';
import { evaluateOnce, readAdapter, saveAdapter } from '../../support/adapters.ts';
import { idsFor, LORA_CONFIGS, METHOD_CONFIGS } from '../../support/method-configs.ts';
import { maxDifference, openTinyBert, TINY_BERT, withFolder } from '../../support/tiny-bert.ts';
import { examplesOf, TOY_HYPERPARAMETERS, toyExamples } from '../../support/toy-task.ts';

/** Those whose adapters change the base model from their first step on. */
const START_ELSEWHERE = new Set(['prefix tuning', 'Mix-And-Match', 'UniPELT', 'prompt tuning', 'P-tuning']);

/** Texts of random tokens, of these lengths. */
function textsOf(lengths: readonly number[], seed: number): { ids: Int32Array }[] {
  const random = new Random(seed, 'texts');
  return lengths.map((length) => ({ ids: Int32Array.from({ length }, () => 5 + random.below(190)) }));
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
async function throughFiles(task: TrainingTask, tensors: Tensors, folder: string): Promise<ServedAdapter> {
  await saveAdapter(task, tensors, folder);
  return readAdapter(folder, task.base);
}

/** The session that a node serves with, open for whatever any method changes. */
function open(base: BaseModel): Promise<Forward> {
  const plan = Object.fromEntries(
    PART_NAMES.map((part) => [part, PARTS[part].places(base.architecture, 'cls')]),
  );
  return Forward.create({ base, plan, slots: 64, device: 'cpu', threads: 1 });
}

describe.each(Object.entries(METHOD_CONFIGS))('%s adapters', (method, configs) => {
  it.skipIf(START_ELSEWHERE.has(method))('start at the base model', () =>
    withFolder(async (folder) => {
      const base = await openTinyBert(folder);
      const forward = await open(base);
      const texts = textsOf([9, 4], 1);
      for (const config of configs) {
        const task = { base, config, labels: 2 };
        const adapter = await throughFiles(task, await tensorsOf(task, 3, false), folder);
        forward.load('adapter', adapter, config.pooling);
        forward.load('head alone', { head: adapter.head }, config.pooling);
        const run = (name: string | null) => forward.run(texts.map((text) => ({ ...text, adapter: name })));
        const unchanged = await run('head alone');
        for (const [i, logits] of (await run('adapter')).entries()) {
          expect(maxDifference(logits, unchanged[i]!)).toBeLessThan(1e-6);
        }
        expect((await run(null)).flatMap((logits) => [...logits]).every((logit) => logit === 0)).toBe(true);
        forward.drop('adapter');
        forward.drop('head alone');
      }
      await forward.release();
    }),
  );

  it('serve from their files what training evaluated', () =>
    withFolder(async (folder) => {
      const base = await openTinyBert(folder);
      const forward = await open(base);
      for (const [i, config] of configs.entries()) {
        const texts = textsOf([9, 4, 12], 2).map((text) => idsFor(config, text));
        const task = { base, config, labels: 3 };
        const tensors = await tensorsOf(task, 10 + i, true);
        const expected = await evaluateOnce(task, tensors, padToLongest(texts));
        forward.load(`adapter ${i}`, await throughFiles(task, tensors, folder), config.pooling);
        const logits = await forward.run(texts.map((text) => ({ ...text, adapter: `adapter ${i}` })));
        expect(
          maxDifference(
            logits.flatMap((row) => [...row]),
            expected,
          ),
        ).toBeLessThan(1e-5);
      }
      await forward.release();
    }));

  it('learn, and leave the base model as it is', () =>
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
          folds: [
            {
              training: examplesOf(toyExamples(64, 1).map((text) => ({ ...text, ...idsFor(config, text) }))),
              validation: examplesOf([]),
            },
          ],
          metric: 'f1',
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

describe('a batch that mixes adapters of all methods', () => {
  it('is one run, and gives a row what it gets alone, over ranks, targets, poolings and label counts', () =>
    withFolder(async (folder) => {
      const base = await openTinyBert(folder);
      const forward = await open(base);
      const configs = Object.values(METHOD_CONFIGS).flat();
      const names: (string | null)[] = [null];
      for (const [i, config] of configs.entries()) {
        const task = { base, config, labels: 2 + i };
        const served = await throughFiles(task, await tensorsOf(task, 20 + i, true), folder);
        forward.load(`adapter ${i}`, served, config.pooling);
        names.push(`adapter ${i}`);
      }
      const order = new Random(4, 'order').shuffle([...names, ...names]);
      const texts = textsOf(
        order.map((_, i) => 3 + ((2 * i) % 50)),
        4,
      );
      const rows = order.map((adapter, i) => {
        const config = adapter === null ? LORA_CONFIGS[0]! : configs[Number(adapter.split(' ')[1])]!;
        return { ...idsFor(config, texts[i]!), adapter };
      });
      const before = forward.runs;
      const together = await forward.run(rows);
      expect(forward.runs - before).toBe(1);
      for (const [i, row] of rows.entries()) {
        if (row.adapter === null) continue;
        const [alone] = await forward.run([row]);
        expect(maxDifference(together[i]!, alone!)).toBeLessThan(1e-5);
      }
      await forward.release();
    }));
});

describe('a session of every part', () => {
  it('gives a row that has none of them what a session of none gives', () =>
    withFolder(async (folder) => {
      const base = await openTinyBert(folder);
      const [config] = LORA_CONFIGS;
      const task = { base, config: config!, labels: 3 };
      const { head } = await throughFiles(task, await tensorsOf(task, 6, true), folder);
      const prefix = { base, config: METHOD_CONFIGS['prefix tuning']![2]!, labels: 3 };
      const beside = await throughFiles(prefix, await tensorsOf(prefix, 7, true), folder);
      const texts = textsOf([9, 4, 40], 8);
      const runOn = async (forward: Forward, others: readonly string[]) => {
        forward.load('head alone', { head }, 'mean');
        const rows = texts.map((text) => ({ ...text, adapter: 'head alone' }));
        const rest = others.map((adapter) => ({ ...texts[0]!, adapter }));
        const logits = await forward.run([...rows, ...rest]);
        await forward.release();
        return logits.slice(0, rows.length);
      };
      const every = await open(base);
      every.load('beside', beside, prefix.config.pooling);
      const none = await Forward.create({ base, plan: {}, slots: 1, device: 'cpu', threads: 1 });
      const expected = await runOn(none, []);
      for (const [i, logits] of (await runOn(every, ['beside'])).entries()) {
        expect(maxDifference(logits, expected[i]!)).toBeLessThan(1e-6);
      }
    }));
});

/** A few steps of training, and what they come to. */
async function trainedSteps(task: TrainingTask): Promise<{ tensors: Tensors; losses: number[] }> {
  const runner = await TrainingRunner.create(task, { seed: 1, device: 'cpu', threads: 1 });
  const optimizer = new AdamW(runner.parameters, { weightDecay: 0 });
  const batch = toyExamples(16, 1).map((text) => ({ ...text, ...idsFor(task.config, text) }));
  const losses: number[] = [];
  for (let step = 0; step < 12; step++) {
    const { loss, gradients } = await runner.step(batch);
    losses.push(loss);
    optimizer.step(gradients, 1e-2);
  }
  await runner.release();
  const tensors = new Map(runner.parameters.map(({ name, shape, data }) => [name, { shape, data }]));
  return { tensors, losses };
}

const ROUNDED = BASE_PRECISIONS.filter((precision) => precision !== 'fp32');

describe.each(ROUNDED)('on a base model held in %s', (precision) => {
  const methods = Object.entries(METHOD_CONFIGS).map(([name, configs]) => {
    const config = configs[2] ?? configs[0]!;
    const dropout = 'dropout' in config && { dropout: 0.1 };
    return [name, { ...config, ...dropout, base_precision: precision } as PeftConfig] as const;
  });
  let folder: string;
  let base: BaseModel;
  let forward: Forward;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-conformance-'));
    const source = { id: 'tiny-bert', folder: TINY_BERT, sha256: '0'.repeat(64), weightsFolder: folder };
    base = await openBaseModel(source, precision);
    forward = await open(base);
  });
  afterAll(async () => {
    await forward.release();
    await rm(folder, { recursive: true });
  });

  it.each(methods)('%s adapters learn, and serve what training evaluated', (name, config) =>
    withFolder(async (files) => {
      const task = { base, config, labels: 2 };
      const { tensors, losses } = await trainedSteps(task);
      expect(losses.at(-1)!).toBeLessThan(0.9 * losses[0]!);
      forward.load(name, await throughFiles(task, tensors, files), config.pooling);
      const texts = textsOf([9, 4, 12], 5).map((text) => idsFor(config, text));
      const logits = await forward.run(texts.map((text) => ({ ...text, adapter: name })));
      const expected = await evaluateOnce(task, tensors, padToLongest(texts));
      expect(
        maxDifference(
          logits.flatMap((row) => [...row]),
          expected,
        ),
      ).toBeLessThan(1e-5);
    }),
  );

  it('a batch that mixes them all gives a row what it gets alone', async () => {
    const texts = textsOf([9, 30, 4, 12, 3, 17], 6);
    const rows = methods.map(([adapter, config], i) => ({
      ...idsFor(config, texts[i % texts.length]!),
      adapter,
    }));
    const together = await forward.run(rows);
    for (const [i, row] of rows.entries()) {
      const [alone] = await forward.run([row]);
      expect(maxDifference(together[i]!, alone!), row.adapter).toBeLessThan(1e-5);
    }
  });
});

describe('a DoRA adapter', () => {
  it('answers with the bias alone where the weights that it changes have come to 0', () =>
    withFolder(async (folder) => {
      const base = await openTinyBert(folder);
      const [layer] = base.architecture.linears('mean');
      const r = layer!.inFeatures;
      const config: LoraConfig = {
        ...LORA_CONFIGS[0]!,
        r,
        alpha: r,
        use_dora: true,
        target_modules: [layer!.name],
      };
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
      const forward = await open(base);
      const [text] = textsOf([9], 5);
      const logitsOf = async () => {
        forward.load('adapter', await throughFiles(task, tensors, folder), config.pooling);
        const [logits] = await forward.run([{ ...text!, adapter: 'adapter' }]);
        forward.drop('adapter');
        return [...logits!];
      };
      const logits = await logitsOf();
      expect(logits.every(Number.isFinite)).toBe(true);
      // However much a row of 0 is to grow, it stays what it is.
      tensors.get(`${layer!.name}.lora_magnitude_vector`)!.data.fill(1e4);
      expect(await logitsOf()).toEqual(logits);
      await forward.release();
    }));
});

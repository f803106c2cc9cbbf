import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unpackTar } from 'modern-tar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer } from '../../../gpu-node/data/tokenizer.ts';
import { padToLongest } from '../../../gpu-node/models/inputs.ts';
import { Random } from '../../../gpu-node/random.ts';
import { initialParameters } from '../../../gpu-node/train/initial-parameters.ts';
import { train } from '../../../gpu-node/train/loop.ts';
import { readBundleFiles } from '../../../gpu-node/weights/bundle-files.ts';
import { softmax } from '../../../shared/metrics.ts';
import { POOLINGS, type Pooling } from '../../../shared/peft-config.ts';
import { parseHeader, readTensors, type Tensor, writeSafetensors } from '../../../shared/safetensors.ts';
import { evaluateOnce, saveAdapter } from '../../support/adapters.ts';
import { maxDifference, openTinyBert, TINY_BERT, withFolder } from '../../support/tiny-bert.ts';
import { problemOf, startTinyNode, type TinyNode } from '../../support/tiny-node.ts';
import { examplesOf, TOY_HYPERPARAMETERS, toyExamples } from '../../support/toy-task.ts';

const LABELS = 3;
const TEXTS = ['the quick brown fox', 'a dog', 'money and more money in the bank'];

let node: TinyNode;
beforeAll(async () => {
  node = await startTinyNode();
});
afterAll(() => node.stop());

const taskOf = (pooling: Pooling) => ({
  base: node.base,
  config: { type: 'full' as const, pooling, base_precision: 'fp32' as const },
  labels: LABELS,
});

/** All weights of tiny-bert, each moved. */
async function movedTensors(pooling: Pooling, seed: number): Promise<Map<string, Tensor>> {
  const random = new Random(seed, 'full');
  const initial = await initialParameters(taskOf(pooling), seed);
  return new Map(
    initial.map(({ name, shape, data }) => [
      name,
      { shape, data: data.map((x) => x + 0.05 * random.normal()) },
    ]),
  );
}

/** Puts a model with these weights where the node fetches bundles. */
function shelve(pooling: Pooling, tensors: ReadonlyMap<string, Tensor>): Promise<string> {
  return withFolder(async (folder) => {
    await saveAdapter(taskOf(pooling), tensors, folder);
    return node.shelf.put(readBundleFiles(folder));
  });
}

function tensorsOf(file: Uint8Array): Map<string, Tensor> {
  return readTensors(file, parseHeader(file, file.length, { file: 'model', maxHeaderBytes: 1e6 }));
}

describe('a full model', () => {
  it('starts at the base model, learns, and leaves the base model as it is', () =>
    withFolder(async (folder) => {
      const base = await openTinyBert(folder);
      const published = tensorsOf(await readFile(join(TINY_BERT, 'model.safetensors')));
      const task = { ...taskOf('cls'), base, labels: 2 };
      const initial = await initialParameters(task, 1);
      for (const { name, data } of initial.filter(({ name: each }) => each.startsWith('bert.'))) {
        expect(data, name).toEqual(published.get(name.slice('bert.'.length))!.data);
      }
      const file = join(folder, Object.values(base.weights.tensors)[0]!.file);
      const before = await readFile(file);
      const losses: number[] = [];
      const { tensors } = await train({
        task,
        hyperparameters: { ...TOY_HYPERPARAMETERS, learning_rate: 1e-3 },
        labels: ['low', 'high'],
        folds: [{ training: examplesOf(toyExamples(64, 1)), validation: examplesOf([]) }],
        metric: 'f1',
        seed: 42,
        device: 'cpu',
        threads: 1,
        onEpoch: ({ loss }) => losses.push(loss),
      });
      expect(losses.at(-1)!).toBeLessThan(losses[0]!);
      const words = 'bert.embeddings.word_embeddings.weight';
      const start = initial.find(({ name }) => name === words)!.data;
      expect(maxDifference(tensors.get(words)!.data, start)).toBeGreaterThan(1e-3);
      expect((await readFile(file)).equals(before)).toBe(true);
    }));

  it.each(POOLINGS)(
    'serves from its file what training evaluated, with %s, beside adapters of the base',
    async (pooling) => {
      const tensors = await movedTensors(pooling, 1);
      const tokenizer = await loadTokenizer(TINY_BERT, 'tiny-bert');
      const tokens = padToLongest(TEXTS.map((text) => ({ ids: tokenizer.encode(text, 64).ids })));
      const logits = await evaluateOnce(taskOf(pooling), tensors, tokens);
      const expected = TEXTS.map((_, i) => softmax(logits.subarray(i * LABELS, (i + 1) * LABELS)));
      const [model, adapter] = [await shelve(pooling, tensors), await node.adapter({ seed: 1, pooling })];
      const alone = await node.classify(...TEXTS.map((text) => ({ bundle: adapter, text })));
      const mixed = TEXTS.flatMap((text) => [adapter, model].map((bundle) => ({ bundle, text })));
      const { rows } = await node.classify(...mixed);
      for (const [i] of TEXTS.entries()) {
        expect(maxDifference(rows[2 * i + 1]!.scores, expected[i]!)).toBeLessThan(1e-5);
        expect(maxDifference(rows[2 * i]!.scores, alone.rows[i]!.scores)).toBeLessThan(1e-5);
      }
    },
  );

  it('has sessions of its own, which go when it is deleted', async () => {
    const sessions = () => node.metric('sessions');
    const before = (await sessions())!;
    const bundle = await shelve('mean', await movedTensors('mean', 2));
    await node.classify({ bundle, text: 'x' });
    expect(await sessions()).toBe(before + 1);
    await node.post('/internal/evict', { bundles: [bundle] });
    expect(await sessions()).toBe(before);
  });

  it('is exported with the weights that it has', async () => {
    const tensors = await movedTensors('cls', 3);
    const response = await node.post('/internal/export', { bundle: await shelve('cls', tensors) });
    const entries = await unpackTar(new Uint8Array(await response.arrayBuffer()), { strict: true });
    const exported = tensorsOf(entries.find(({ header }) => header.name === 'model.safetensors')!.data!);
    expect([...exported.keys()].sort()).toEqual([...tensors.keys()].sort());
    for (const [name, { data }] of tensors) expect(maxDifference(exported.get(name)!.data, data)).toBe(0);
  });

  it.each<[string, (tensors: Map<string, Tensor>) => void]>([
    ['lacks a tensor', (tensors) => tensors.delete('bert.encoder.layer.1.output.LayerNorm.bias')],
    ['has one too many', (tensors) => tensors.set('bert.embeddings.more_embeddings.weight', vector(32, 4))],
    [
      'has one of another shape',
      (tensors) => tensors.set('bert.embeddings.word_embeddings.weight', vector(32, 4)),
    ],
    ['is of more layers', (tensors) => tensors.set('bert.encoder.layer.2.output.dense.bias', vector(32))],
  ])('is refused where its file %s', async (_, change) => {
    const tensors = await movedTensors('mean', 4);
    const good = node.shelf.bundles.get(await shelve('mean', tensors))!;
    change(tensors);
    const bundle = await node.shelf.put({ ...good, 'adapter_model.safetensors': writeSafetensors(tensors) });
    expect(await problemOf(await node.send([{ bundle, text: 'x' }]))).toEqual([
      422,
      'invalid_adapter',
      'rows.0.bundle',
    ]);
  });
});

/** Zeros of a size, or rows of it. */
function vector(size: number, rows?: number): Tensor {
  return { shape: rows ? [rows, size] : [size], data: new Float32Array(size * (rows ?? 1)) };
}

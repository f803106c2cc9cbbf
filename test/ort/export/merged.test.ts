import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { mergedModelFile } from '../../../gpu-node/export/model-file.ts';
import { adapterBase } from '../../../gpu-node/models/adapter-base.ts';
import { openBaseTensors } from '../../../gpu-node/models/open-base-model.ts';
import { taskTrainables } from '../../../gpu-node/train/graph.ts';
import { readAdapterFiles } from '../../../gpu-node/weights/adapter-file.ts';
import { readBundleFiles } from '../../../gpu-node/weights/bundle-files.ts';
import { parseHeader, readTensors, type Tensor } from '../../../shared/safetensors.ts';
import { SHA256, saveAdapter } from '../../support/adapters.ts';
import { readPeftCase } from '../../support/peft-steps.ts';
import { maxDifference, openTinyBert, TINY_BERT, withFolder } from '../../support/tiny-bert.ts';

/** Written by scripts/fixtures/merged.py. */
const CASES = ['mean-query-value', 'cls-all-linear', 'cls-all-linear-dora', 'mean-ia3', 'cls-ia3'];

async function readModel(path: string): Promise<Map<string, Tensor>> {
  return tensorsOf(await readFile(path));
}

function tensorsOf(file: Uint8Array): Map<string, Tensor> {
  return readTensors(file, parseHeader(file, file.length, { file: 'model', maxHeaderBytes: 1e6 }));
}

/** The merged model of a case's trained tensors, through an adapter's files. */
async function merge(name: string, folder: string) {
  const base = await openTinyBert(folder);
  const { config, labels, final } = await readPeftCase(name);
  const task = { base, config, labels };
  const trained = taskTrainables(task).map(
    ({ name: key, shape }) => [key, { shape, data: final.get(key)! }] as const,
  );
  await saveAdapter(task, new Map(trained), folder);
  const shape = adapterBase({ id: 'tiny-bert', sha256: SHA256 }, base);
  const files = readAdapterFiles(readBundleFiles(folder), shape, 'adapter x@1');
  const tensors = await openBaseTensors({ id: 'tiny-bert', folder: TINY_BERT }, base.architecture);
  const model = await mergedModelFile({ ...files, pooling: config.pooling }, base, tensors);
  const chunks: Uint8Array[] = [];
  for await (const chunk of model.chunks()) chunks.push(chunk);
  await tensors.close();
  const file = Buffer.concat(chunks);
  expect(file.length).toBe(model.bytes);
  return { merged: tensorsOf(file), final };
}

describe('a merged model', () => {
  it.each(CASES)("has the layers that PEFT's merge_and_unload makes of %s", (name) =>
    withFolder(async (folder) => {
      const path = fileURLToPath(new URL(`../../fixtures/merged/${name}.safetensors`, import.meta.url));
      const expected = await readModel(path);
      const published = await readModel(`${TINY_BERT}/model.safetensors`);
      const { merged, final } = await merge(name, folder);
      let changed = 0;
      for (const [tensor, { shape, data }] of expected) {
        expect(merged.get(tensor)!.shape).toEqual(shape);
        expect(maxDifference(merged.get(tensor)!.data, data)).toBeLessThan(1e-5);
        changed += Number(maxDifference(data, published.get(tensor.slice('bert.'.length))!.data) > 1e-3);
      }
      expect(changed).toBeGreaterThan(3);
      for (const [tensor, { data }] of merged) {
        if (expected.has(tensor)) continue;
        const same = final.get(tensor) ?? published.get(tensor.slice('bert.'.length))!.data;
        expect([...data]).toEqual([...same]);
      }
    }),
  );

  it.each(['cls-bitfit', 'mean-bitfit'])(
    'has the biases of linear layers and norms that %s trained',
    (name) =>
      withFolder(async (folder) => {
        const { merged, final } = await merge(name, folder);
        expect([...final.keys()].filter((tensor) => tensor.includes('LayerNorm'))).not.toEqual([]);
        for (const [tensor, data] of final) {
          expect(maxDifference(merged.get(tensor)!.data, data), tensor).toBeLessThan(1e-6);
        }
      }),
  );
});

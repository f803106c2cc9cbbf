import { copyFile, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openBaseModel } from '../../../gpu-node/models/open-base-model.ts';
import { parseHeader, readTensors, type Tensor, writeSafetensors } from '../../../shared/safetensors.ts';
import { openTinyBert, TINY_BERT, withFolder } from '../../support/tiny-bert.ts';

const WEIGHTS = 'model.safetensors';

async function tinyTensors(): Promise<Map<string, Tensor>> {
  const file = await readFile(join(TINY_BERT, WEIGHTS));
  return readTensors(file, parseHeader(file, file.length, { file: WEIGHTS, maxHeaderBytes: 100_000 }));
}

/** Opens a copy of the fixture whose tensors `change` has changed. */
async function openChanged(folder: string, change: (tensors: Map<string, Tensor>) => void) {
  const tensors = await tinyTensors();
  change(tensors);
  await copyFile(join(TINY_BERT, 'config.json'), join(folder, 'config.json'));
  await writeFile(join(folder, WEIGHTS), writeSafetensors(tensors));
  return openBaseModel({ id: 'copy', folder, sha256: 'a'.repeat(64), weightsFolder: folder });
}

const WORDS = 'embeddings.word_embeddings.weight';

describe('opening a base model', () => {
  it('writes the weight file once, linear layers transposed', () =>
    withFolder(async (folder) => {
      const first = await openTinyBert(folder);
      const name = 'bert.encoder.layer.0.intermediate.dense.weight';
      expect(first.weights.tensors[name]?.shape).toEqual([32, 64]);
      const path = join(folder, first.weights.tensors[name]!.file);
      const { mtimeMs } = await stat(path);
      expect(await openTinyBert(folder)).toMatchObject({
        weights: { tensors: first.weights.tensors },
        poolings: ['mean', 'cls'],
      });
      expect((await stat(path)).mtimeMs).toBe(mtimeMs);
    }));

  it('writes a damaged weight file again', () =>
    withFolder(async (folder) => {
      const { weights } = await openTinyBert(folder);
      const path = join(folder, Object.values(weights.tensors)[0]!.file);
      const { size } = await stat(path);
      await truncate(path, 1000);
      await openTinyBert(folder);
      expect((await stat(path)).size).toBe(size);
    }));

  it('takes names with and without the prefix, and the older ones of norms', () =>
    withFolder(async (folder) => {
      const renamed = openChanged(folder, (tensors) => {
        for (const [name, tensor] of [...tensors]) {
          tensors.delete(name);
          const older = name.replace('LayerNorm.weight', 'LayerNorm.gamma');
          tensors.set(`bert.${older.replace('LayerNorm.bias', 'LayerNorm.beta')}`, tensor);
        }
      });
      const { weights } = await renamed;
      expect(Object.keys(weights.tensors)).toHaveLength((await tinyTensors()).size);
    }));

  it('offers no cls pooling where the file has no pooler', () =>
    withFolder(async (folder) => {
      const base = await openChanged(folder, (tensors) => {
        tensors.delete('pooler.dense.weight');
      });
      expect(base.poolings).toEqual(['mean']);
    }));

  it('names a tensor that is missing', () =>
    withFolder(async (folder) => {
      const opened = openChanged(folder, (tensors) => {
        tensors.delete(WORDS);
      });
      await expect(opened).rejects.toThrow(`base model copy: model.safetensors has no tensor bert.${WORDS}`);
    }));

  it('names a tensor of another shape, and both shapes', () =>
    withFolder(async (folder) => {
      const opened = openChanged(folder, (tensors) => {
        tensors.set(WORDS, { shape: [3, 32], data: new Float32Array(96) });
      });
      await expect(opened).rejects.toThrow(`${WORDS} is [3, 32], config.json asks for [200, 32]`);
    }));

  it('names a folder without a config', () =>
    withFolder(async (folder) => {
      const opened = openBaseModel({ id: 'none', folder, sha256: 'a'.repeat(64), weightsFolder: folder });
      await expect(opened).rejects.toThrow(/base model none: .*config\.json cannot be read/);
    }));
});

import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import { encodeModel } from '../../../gpu-node/graph/onnx.ts';
import {
  openWeightFile,
  transposeMatrix,
  type WeightFile,
  writeWeightFile,
} from '../../../gpu-node/graph/weight-file.ts';
import { matMul } from '../../../gpu-node/ops/index.ts';
import { floats, Session, tensor } from '../../../gpu-node/runtime/session.ts';

const matrix = Float32Array.of(1, 2, 3, 4, 5, 6);
const sources = [
  { name: 'bias', dtype: 'float32', shape: [2], data: Float32Array.of(1, -1) },
  { name: 'w', dtype: 'float32', shape: [2, 3], data: matrix },
  { name: 'w.t', dtype: 'float32', shape: [3, 2], data: transposeMatrix(matrix, 2, 3) },
] as const;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft weights '));
});
afterEach(() => rm(folder, { recursive: true }));

function product(weights: WeightFile, name: string): Graph {
  const graph = new Graph(name);
  const w = graph.weight(weights.tensors[name]!);
  graph.output('y', matMul(graph.input('x', 'float32', ['batch', w.shape[0]!]), w));
  return graph;
}

describe('a weight file', () => {
  test('serves several graphs, given as bytes or by path', async () => {
    const written = await writeWeightFile(join(folder, 'weights.bin'), sources);
    const opened = await openWeightFile(join(folder, 'weights.bin'));
    expect(opened).toEqual(written);
    const path = join(folder, 'model.onnx');
    await writeFile(path, encodeModel(product(opened, 'w')));
    const byPath = await Session.create(path);
    const byBytes = await Session.create(encodeModel(product(opened, 'w.t')), { weightsFolder: folder });
    const y = await byPath.run({ x: tensor('float32', [1, 2], Float32Array.of(1, 1)) });
    expect(floats(y, 'y')).toEqual(Float32Array.of(5, 7, 9));
    const t = await byBytes.run({ x: tensor('float32', [1, 3], Float32Array.of(1, 0, 0)) });
    expect(floats(t, 'y')).toEqual(Float32Array.of(1, 4));
    await byPath.release();
    await byBytes.release();
  });

  test('starts every tensor on a page and leaves nothing else behind', async () => {
    const { tensors } = await writeWeightFile(join(folder, 'weights.bin'), sources);
    expect(Object.values(tensors).map(({ offset, length }) => [offset, length])).toEqual([
      [0, 8],
      [4096, 24],
      [8192, 24],
    ]);
    expect((await readdir(folder)).sort()).toEqual(['weights.bin', 'weights.bin.json']);
  });

  test('leaves no file of its name when a source is wrong', async () => {
    const wrong = [{ name: 'w', dtype: 'float32', shape: [3], data: matrix }] as const;
    await expect(writeWeightFile(join(folder, 'weights.bin'), wrong)).rejects.toThrow(
      'weight w float32[3] needs 12 bytes, got 24',
    );
    expect(await readdir(folder)).toEqual([]);
  });

  test('is refused when it is cut short', async () => {
    const path = join(folder, 'weights.bin');
    await writeWeightFile(path, sources);
    await truncate(path, 100);
    await expect(openWeightFile(path)).rejects.toThrow('has 100 bytes, its index says 8216');
  });
});

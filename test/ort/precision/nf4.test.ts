import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import { encodeModel } from '../../../gpu-node/graph/onnx.ts';
import { ModelProto } from '../../../gpu-node/graph/onnx-schema.ts';
import { encoderFeeds } from '../../../gpu-node/models/inputs.ts';
import type { BaseModel } from '../../../gpu-node/models/model.ts';
import { openBaseModel } from '../../../gpu-node/models/open-base-model.ts';
import { dequantize } from '../../../gpu-node/ops/index.ts';
import {
  dequantizeAbsmax,
  NF4_CODE,
  quantizeAbsmax,
  quantizeNf4,
} from '../../../gpu-node/precision/nf4-quantize.ts';
import { quantizeTable } from '../../../gpu-node/precision/table.ts';
import { type Feeds, floats, Session, tensor } from '../../../gpu-node/runtime/session.ts';
import { taskTrainables, trainingGraph } from '../../../gpu-node/train/graph.ts';
import { parseHeader, readTensors, writeSafetensors } from '../../../shared/safetensors.ts';
import { NF4_FIXTURE } from '../../support/nf4.ts';
import { PEFT_CASES, readPeftCase, WITHOUT_GRADIENT } from '../../support/peft-steps.ts';
import { maxDifference, TINY_BERT, toTokenBatch, withFolder } from '../../support/tiny-bert.ts';

describe.each(Object.entries(NF4_FIXTURE.matrices))('an unpacked matrix, %s', (_, expected) => {
  it("is bitsandbytes' bit for bit", async () => {
    const graph = new Graph('unpack');
    const [outFeatures, inFeatures] = expected.shape;
    const codes = graph.constant('uint8', [expected.codes.length], expected.codes);
    const absmax = graph.constant('float32', [expected.scales.length], expected.scales);
    graph.output('matrix', dequantize({ codes, absmax, outFeatures, inFeatures }));
    const session = await Session.create(encodeModel(graph), { threads: 1 });
    const unpacked = floats(await session.run({}), 'matrix');
    await session.release();
    expect(unpacked).toEqual(Float32Array.from(expected.dequantized));
  });
});

const openNf4 = (folder: string) =>
  openBaseModel({ id: 'nf4', folder: TINY_BERT, sha256: 'a'.repeat(64), weightsFolder: folder }, 'nf4');

function unpacked(elements: Float32Array): Float32Array {
  const { codes, absmax } = quantizeNf4(elements);
  const scales = dequantizeAbsmax(quantizeAbsmax(absmax));
  return elements.map((_, i) => {
    const code = (codes[i >> 1]! >> (i % 2 === 0 ? 4 : 0)) & 15;
    return NF4_CODE[code]! * scales[Math.floor(i / 64)]!;
  });
}

/** The fixture in float32, its matrices and tables replaced by what quantization leaves of them. */
async function openUnpacked(folder: string, { architecture }: BaseModel): Promise<BaseModel> {
  const file = await readFile(join(TINY_BERT, 'model.safetensors'));
  const limits = { file: 'tiny-bert', maxHeaderBytes: 100_000 };
  const tensors = new Map(readTensors(file, parseHeader(file, file.length, limits)));
  for (const spec of architecture.weights) {
    const name = [spec.name, ...spec.aliases].find((each) => tensors.has(each))!;
    const { shape, data } = tensors.get(name)!;
    if (spec.role === 'table') {
      const [rows, scales] = quantizeTable(spec, data);
      tensors.set(name, { shape, data: Float32Array.from(rows, (x, i) => x * scales[Math.floor(i / 32)]!) });
    } else if (spec.role !== 'plain') {
      tensors.set(name, { shape, data: unpacked(data) });
    }
  }
  await copyFile(join(TINY_BERT, 'config.json'), join(folder, 'config.json'));
  await writeFile(join(folder, 'model.safetensors'), writeSafetensors(tensors));
  return openBaseModel({ id: 'unpacked', folder, sha256: 'b'.repeat(64), weightsFolder: folder });
}

describe.each(PEFT_CASES)('a step on an nf4 base, %s', (name) => {
  it('has the loss and gradients of float32 on the unpacked weights', () =>
    withFolder(async (folder) => {
      const { config, labels, initial, batches } = await readPeftCase(name);
      const quantized = await openNf4(folder);
      const step = async (base: BaseModel) => {
        const task = { base, config, labels };
        const model = encodeModel(trainingGraph(task, 1).graph);
        const session = await Session.create(model, { weightsFolder: folder, threads: 1 });
        const batch = batches[0]!;
        const feeds: Feeds = {
          ...encoderFeeds(toTokenBatch(batch)),
          labels: tensor('int32', [batch.labels.length], Int32Array.from(batch.labels)),
          ...Object.fromEntries(
            taskTrainables(task).map((each) => [
              each.name,
              tensor('float32', each.shape, initial.get(each.name)!),
            ]),
          ),
        };
        const outputs = await session.run(feeds);
        await session.release();
        return outputs;
      };
      const actual = await step(quantized);
      const expected = await step(await openUnpacked(folder, quantized));
      expect(floats(actual, 'loss')[0]).toBeCloseTo(floats(expected, 'loss')[0]!, 5);
      for (const key of initial.keys()) {
        if (WITHOUT_GRADIENT.test(key)) continue;
        const gradient = floats(expected, `${key}.grad`);
        const scale = gradient.reduce((largest, x) => Math.max(largest, Math.abs(x)), 1e-6);
        expect(maxDifference(floats(actual, `${key}.grad`), gradient) / scale, key).toBeLessThan(1e-4);
      }
    }));
});

interface OptimizedModel {
  graph: { initializer: { name: string; dataType: number; dims: (number | { toNumber(): number })[] }[] };
}
const FLOAT = 1;

describe('a training graph on an nf4 base', () => {
  it('has no matrix in float32, not after the runtime has folded what is constant either', () =>
    withFolder(async (folder) => {
      const { config, labels } = await readPeftCase('cls-all-linear');
      const base = await openNf4(folder);
      const encoded = encodeModel(trainingGraph({ base, config, labels }, 1).graph);
      const path = join(folder, 'optimized.onnx');
      const session = await InferenceSession.create(encoded, {
        optimizedModelFilePath: path,
        extra: { session: { model_external_initializers_file_folder_path: folder } },
      });
      await session.release();
      const matrices = base.architecture.weights.filter(({ role }) => role.endsWith('matrix'));
      const sizes = new Set(matrices.map(({ shape }) => shape.reduce((count, size) => count * size, 1)));
      const plain = new Set(
        base.architecture.weights.filter(({ role }) => role === 'plain').map(({ name }) => `frozen/${name}`),
      );
      for (const bytes of [encoded, await readFile(path)]) {
        const { graph } = ModelProto.decode(bytes) as unknown as OptimizedModel;
        expect(graph.initializer.filter(({ name }) => name.endsWith('.nf4'))).toHaveLength(matrices.length);
        const large = graph.initializer.filter(
          ({ name, dataType, dims }) =>
            dataType === FLOAT &&
            !plain.has(name) &&
            sizes.has(dims.reduce<number>((count, size) => count * Number(size), 1)),
        );
        expect(large.map(({ name }) => name)).toEqual([]);
      }
    }));
});

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeModel } from '../../gpu-node/graph/onnx.ts';
import { loadAdapter, methodOf } from '../../gpu-node/methods/index.ts';
import { adapterBase } from '../../gpu-node/models/adapter-base.ts';
import { encoderFeeds, type TokenBatch } from '../../gpu-node/models/inputs.ts';
import type { BaseModel } from '../../gpu-node/models/model.ts';
import type { ServedAdapter } from '../../gpu-node/parts/index.ts';
import { bytesIn } from '../../gpu-node/parts/part.ts';
import { floats, Session, tensor } from '../../gpu-node/runtime/session.ts';
import { evaluationGraph, type TrainingTask } from '../../gpu-node/train/graph.ts';
import { savedTensors } from '../../gpu-node/train/saved-tensors.ts';
import { readAdapterFiles, writeAdapterFiles } from '../../gpu-node/weights/adapter-file.ts';
import { readBundleFiles } from '../../gpu-node/weights/bundle-files.ts';
import { BUNDLE_FILES, type WeftFile } from '../../shared/adapter-format.ts';
import type { Pooling } from '../../shared/peft-config.ts';
import type { Tensor } from '../../shared/safetensors.ts';

export const SHA256 = '0'.repeat(64);

function weftOf(labels: number, pooling: Pooling): WeftFile {
  return {
    format: 1,
    labels: Array.from({ length: labels }, (_, i) => `label ${i}`),
    pooling,
    max_length: 64,
    base_model: 'tiny-bert',
    base_model_sha256: SHA256,
    base_precision: 'fp32',
    metrics: null,
  };
}

/** Writes an adapter's files into a folder, in place of those of another. */
export async function saveAdapter(task: TrainingTask, tensors: ReadonlyMap<string, Tensor>, folder: string) {
  const { config, base } = task;
  for (const file of BUNDLE_FILES) await rm(join(folder, file), { force: true });
  await writeAdapterFiles(folder, {
    method: config,
    encoder: base.architecture,
    modules: methodOf(config).modules(config, base.architecture),
    baseModel: 'tiny-bert',
    revision: null,
    tensors: await savedTensors(task, tensors),
    weft: weftOf(task.labels, task.config.pooling),
  });
}

/** Reads an adapter's files back as serving does. */
export async function readAdapter(folder: string, base: BaseModel): Promise<ServedAdapter> {
  const shape = adapterBase({ id: 'tiny-bert', sha256: SHA256 }, base);
  const { description, weights } = readAdapterFiles(readBundleFiles(folder), shape, 'adapter x@1');
  return loadAdapter(description, bytesIn(weights), base);
}

/** Logits of the graph that training evaluates with. */
export async function evaluateOnce(
  task: TrainingTask,
  tensors: ReadonlyMap<string, Tensor>,
  tokens: TokenBatch,
): Promise<Float32Array> {
  const session = await Session.create(encodeModel(evaluationGraph(task)), {
    weightsFolder: task.base.weightsFolder,
    threads: 1,
  });
  const parameters = [...tensors].map(([name, { shape, data }]) => [name, tensor('float32', shape, data)]);
  const outputs = await session.run({ ...encoderFeeds(tokens), ...Object.fromEntries(parameters) });
  await session.release();
  return floats(outputs, 'logits');
}

import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { methodOf } from '../../gpu-node/methods/index.ts';
import type { Architecture } from '../../gpu-node/models/model.ts';
import { type BaseModelSource, outlineBaseModel } from '../../gpu-node/models/open-base-model.ts';
import { headTrainables } from '../../gpu-node/parts/head.ts';
import { Random } from '../../gpu-node/random.ts';
import { savedTensors } from '../../gpu-node/train/saved-tensors.ts';
import { writeAdapterFiles } from '../../gpu-node/weights/adapter-file.ts';
import { canonicalManifest } from '../../shared/adapter-format.ts';
import { type BasePrecision, type PeftConfig, peftRequest } from '../../shared/peft-config.ts';
import type { Tensor } from '../../shared/safetensors.ts';

export interface AdapterShape {
  readonly precision: BasePrecision;
  /** Methods as requests give them, all else `"auto"`, which the adapters have in turn. */
  readonly methods: readonly z.input<typeof peftRequest>[];
  readonly labels: number;
  /** Tokens at which a text is cut. */
  readonly maxLength: number;
}

export interface WrittenAdapter {
  /** SHA-256 of its manifest: the id under which a node knows it. */
  readonly bundle: string;
  /** The folder with its files, in HF PEFT's format. */
  readonly folder: string;
}

/** Standard deviation of the weights, small enough to keep a layer's output near the base model's. */
const DEVIATION = 0.02;
/** Size of one pool of random numbers. Weights are windows of it, because drawing each would take a minute for a thousand adapters. */
const POOL = 2 ** 22;

/** Writes adapters of random weights into a node's cache folder, so that it can serve them without an edge. */
export async function writeAdapters(
  cache: string,
  source: BaseModelSource,
  count: number,
  shape: AdapterShape,
): Promise<WrittenAdapter[]> {
  const { architecture } = await outlineBaseModel(source);
  const base = { architecture, weightsFolder: source.weightsFolder };
  const random = new Random(1, `adapters ${JSON.stringify(shape)}`);
  const pool = Float32Array.from({ length: POOL }, () => DEVIATION * random.normal());
  const draw = (dims: readonly number[]): Tensor => {
    const length = dims.reduce((a, b) => a * b, 1);
    const start = random.below(POOL - length);
    return { shape: dims, data: pool.subarray(start, start + length) };
  };
  const configs = shape.methods.map((request) => configOf(request, architecture, shape.precision));
  const weft = {
    format: 1 as const,
    labels: Array.from({ length: shape.labels }, (_, i) => `label ${i}`),
    pooling: 'mean' as const,
    max_length: shape.maxLength,
    base_model: source.id,
    base_model_sha256: source.sha256,
    base_precision: shape.precision,
    metrics: null,
  };
  await mkdir(cache, { recursive: true });
  const written: WrittenAdapter[] = [];
  for (let i = 0; i < count; i++) {
    const config = configs[i % configs.length]!;
    const method = methodOf(config);
    const trained = [
      ...method.trainables(config, architecture),
      ...headTrainables(architecture.head, shape.labels),
    ];
    const tensors = new Map(trained.map(({ name, shape: dims }) => [name, draw(dims)]));
    const partial = await mkdtemp(join(cache, 'partial-'));
    const manifest = await writeAdapterFiles(partial, {
      encoder: architecture,
      method: config,
      modules: method.modules(config, architecture),
      baseModel: source.id,
      revision: null,
      tensors: await savedTensors({ base, config }, tensors),
      weft,
    });
    const bundle = createHash('sha256').update(canonicalManifest(manifest)).digest('hex');
    const folder = join(cache, bundle);
    await rm(folder, { recursive: true, force: true });
    await rename(partial, folder);
    written.push({ bundle, folder });
  }
  return written;
}

function configOf(
  request: AdapterShape['methods'][number],
  architecture: Architecture,
  base_precision: BasePrecision,
): PeftConfig {
  const parsed = peftRequest.parse(request);
  const fields = methodOf(parsed).resolve(parsed, architecture);
  return { ...fields, pooling: 'mean', base_precision } as PeftConfig;
}

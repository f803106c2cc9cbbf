import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { matchTargets } from '../../gpu-node/methods/targets.ts';
import { type BaseModelSource, outlineBaseModel } from '../../gpu-node/models/open-base-model.ts';
import { Random } from '../../gpu-node/random.ts';
import { writeAdapterFiles } from '../../gpu-node/weights/adapter-file.ts';
import { classifierTensorName } from '../../shared/adapter-description.ts';
import { canonicalManifest } from '../../shared/adapter-format.ts';
import { PEFT_PREFIX } from '../../shared/methods/format.ts';
import { loraTensorName } from '../../shared/methods/lora.ts';
import type { BasePrecision, LoraConfig } from '../../shared/peft-config.ts';
import type { Tensor } from '../../shared/safetensors.ts';

export interface AdapterShape {
  readonly precision: BasePrecision;
  /** Ranks that the adapters take in turn. */
  readonly ranks: readonly number[];
  readonly targets: LoraConfig['target_modules'];
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
const POOL = 2 ** 21;

/** Writes adapters of random weights into a node's cache folder, so that it can serve them without an edge. */
export async function writeAdapters(
  cache: string,
  source: BaseModelSource,
  count: number,
  shape: AdapterShape,
): Promise<WrittenAdapter[]> {
  const { architecture } = await outlineBaseModel(source);
  const layers = matchTargets(shape.targets, architecture.linears('mean'));
  const random = new Random(1, `adapters ${Object.values(shape)}`);
  const pool = Float32Array.from({ length: POOL }, () => DEVIATION * random.normal());
  const draw = (...dims: number[]): Tensor => {
    const length = dims.reduce((a, b) => a * b, 1);
    const start = random.below(POOL - length);
    return { shape: dims, data: pool.subarray(start, start + length) };
  };
  const plain = (name: string) => name.slice(PEFT_PREFIX.length);
  const about = {
    encoder: architecture,
    modules: layers.map(({ name }) => name),
    baseModel: source.id,
    revision: null,
  };
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
    const r = shape.ranks[i % shape.ranks.length]!;
    const tensors = new Map<string, Tensor>(
      layers.flatMap(({ name, inFeatures, outFeatures }) => [
        [plain(loraTensorName(name, 'A')), draw(r, inFeatures)],
        [plain(loraTensorName(name, 'B')), draw(outFeatures, r)],
      ]),
    );
    tensors.set(plain(classifierTensorName('weight')), draw(shape.labels, architecture.hiddenSize));
    tensors.set(plain(classifierTensorName('bias')), draw(shape.labels));
    const partial = await mkdtemp(join(cache, 'partial-'));
    const manifest = await writeAdapterFiles(partial, { ...about, method: method(shape, r), tensors, weft });
    const bundle = createHash('sha256').update(canonicalManifest(manifest)).digest('hex');
    const folder = join(cache, bundle);
    await rm(folder, { recursive: true, force: true });
    await rename(partial, folder);
    written.push({ bundle, folder });
  }
  return written;
}

function method({ precision, targets }: AdapterShape, r: number): LoraConfig {
  return {
    type: 'lora',
    r,
    alpha: 2 * r,
    dropout: 0,
    use_rslora: false,
    use_dora: false,
    target_modules: targets,
    pooling: 'mean',
    base_precision: precision,
  };
}

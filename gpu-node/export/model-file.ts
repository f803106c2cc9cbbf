import type { AdapterDescription } from '../../shared/adapter-description.ts';
import type { Pooling } from '../../shared/peft-config.ts';
import { layOutSafetensors, type SafetensorsLayout, toFloat32 } from '../../shared/safetensors.ts';
import { elementCount } from '../graph/shapes.ts';
import { loadAdapter, planOf } from '../methods/index.ts';
import type { BaseModel } from '../models/model.ts';
import type { BaseTensors } from '../models/open-base-model.ts';
import { PART_NAMES, type ServedAdapter } from '../parts/index.ts';
import { bytesIn, moduleOf, type TensorBytes } from '../parts/part.ts';
import { type MergedLayer, mergeLinear, mergeNorm } from './merged-layers.ts';

/** Elements of a base model's tensor that are read at once: a table of embeddings may be a gigabyte. */
const PIECE = 1024 * 1024;

export interface AdapterToMerge {
  readonly description: AdapterDescription;
  readonly pooling: Pooling;
  /** Bytes of adapter_model.safetensors. */
  readonly weights: Uint8Array;
}

/** A model.safetensors that is made while it is read, so that at most a layer of it is in memory. */
export interface ModelFile {
  readonly bytes: number;
  chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>>;
}

/** A tensor of the file, whose elements come in pieces. */
interface Source {
  readonly shape: readonly number[];
  elements(): AsyncGenerator<Float32Array> | Iterable<Float32Array>;
}

/**
 * The base model with an adapter merged into it, and the adapter's head, all in fp32 and under transformers' names. `base` is the model in
 * fp32. `tensors` are those of its own file; a tensor that the adapter does not change is copied.
 */
export async function mergedModelFile(
  adapter: AdapterToMerge,
  base: BaseModel,
  tensors: BaseTensors,
): Promise<ModelFile> {
  const served = await loadAdapter(adapter.description, bytesIn(adapter.weights), base);
  const sources = new Map<string, Source>([
    ...baseSources(adapter.pooling, tensors),
    ...mergedSources(adapter, served, base),
    ...headSources(adapter.description, bytesIn(adapter.weights)),
  ]);
  const layout = layOutSafetensors(sources);
  return { bytes: layout.bytes, chunks: () => chunksOf(layout, sources) };
}

async function* chunksOf({ head, names }: SafetensorsLayout, sources: ReadonlyMap<string, Source>) {
  yield head;
  for (const name of names) {
    for await (const elements of sources.get(name)!.elements()) yield bytesOf(elements);
  }
}

/** The tensors that a classifier with this pooling reads: only `cls` uses a pooler. */
function baseSources(pooling: Pooling, { found, read }: BaseTensors): [string, Source][] {
  const used = found.filter(({ spec }) => pooling === 'cls' || !spec.optional);
  return used.map(({ spec: { name, shape }, entry }) => {
    const size = elementCount(shape);
    const elements = async function* () {
      for (let from = 0; from < size; from += PIECE) {
        yield await read(entry, from, Math.min(size, from + PIECE));
      }
    };
    return [name, { shape, elements }];
  });
}

/** The layers and norms that the adapter changes. Weight and bias of a layer are read one after another, and computed together. */
function mergedSources(
  { description, pooling }: AdapterToMerge,
  adapter: ServedAdapter,
  base: BaseModel,
): [string, Source][] {
  const { architecture } = base;
  const plan = planOf(description, architecture, pooling);
  const places = new Set(PART_NAMES.flatMap((part) => plan[part] ?? []).map(moduleOf));
  const merge = { plan, adapter, base };
  let last: { name: string; merged: Promise<MergedLayer> } | undefined;
  const source = (name: string, of: keyof MergedLayer, shape: number[], make: () => Promise<MergedLayer>) => {
    const elements = async function* () {
      if (last?.name !== name) last = { name, merged: make() };
      yield (await last.merged)[of]!;
    };
    return [`${name}.${of}`, { shape, elements }] satisfies [string, Source];
  };
  const linears = architecture.linears(pooling).filter(({ name }) => places.has(name));
  const norms = architecture.norms.filter((name) => places.has(name));
  return [
    ...linears.flatMap((layer) => {
      const { name, inFeatures, outFeatures } = layer;
      const make = () => mergeLinear(layer, merge);
      return [
        source(name, 'bias', [outFeatures], make),
        source(name, 'weight', [outFeatures, inFeatures], make),
      ];
    }),
    ...norms.map((name) => source(name, 'bias', [architecture.hiddenSize], () => mergeNorm(name, merge))),
  ];
}

function headSources({ classifier }: AdapterDescription, bytes: TensorBytes): [string, Source][] {
  return classifier.layers.flatMap(({ name, weight, bias }) =>
    (
      [
        [`${name}.weight`, weight],
        [`${name}.bias`, bias],
      ] as const
    ).map(([tensor, entry]): [string, Source] => [
      tensor,
      { shape: entry.shape, elements: () => [toFloat32(bytes(entry), entry)] },
    ]),
  );
}

/** Copies the bytes into a buffer of their own, which may be transferred. */
function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer, byteOffset, byteLength).slice();
}

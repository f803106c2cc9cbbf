import { workerData } from 'node:worker_threads';
import type { AdapterDescription } from '../../shared/adapter-description.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, WEFT_FILE } from '../../shared/adapter-format.ts';
import { AppError } from '../../shared/errors.ts';
import type { Pooling } from '../../shared/peft-config.ts';
import type { Architecture } from '../models/model.ts';
import { type BaseModelOutline, type BaseModelSource, outlineBaseModel } from '../models/open-base-model.ts';
import { serveCalls } from '../runtime/worker-thread.ts';
import { type AdapterBase, readAdapterFiles, readWeftFile } from '../weights/adapter-file.ts';
import { type StoredBytes, StoredBytesReader } from './adapter-memory.ts';
import type { SessionGroup } from './session-group.ts';

export interface CheckWorkerData {
  bases: readonly BaseModelSource[];
  /** Where adapters' weights lie. */
  memory: SharedArrayBuffer;
}

/** An adapter's three files. */
export interface FilesToCheck {
  bundle: string;
  config: Uint8Array;
  weft: Uint8Array;
  weights: StoredBytes;
}

/** An adapter whose files fit each other and their base model. */
export interface CheckedAdapter {
  labels: readonly string[];
  pooling: Pooling;
  /** Tokens that a text is cut to. */
  maxLength: number;
  /** What logits are divided by. */
  temperature: number;
  description: AdapterDescription;
  group: SessionGroup;
}

interface KnownBase {
  readonly source: BaseModelSource;
  readonly outline: Promise<BaseModelOutline>;
}

const data = workerData as CheckWorkerData;
const memory = new StoredBytesReader(data.memory);
const bases = new Map(
  data.bases.map((source): [string, KnownBase] => {
    const outline = outlineBaseModel(source);
    // A failure is the answer of the calls that need it; without this it would end the process before the first came.
    outline.catch(() => {});
    return [source.id, { source, outline }];
  }),
);

/** Checking an adapter's files takes as long as they are large: here it keeps neither requests nor runs waiting. */
const handlers = {
  /** Resolves when every base model can be used. */
  ready: async (_: null) => {
    for (const { outline } of bases.values()) await outline;
  },
  check: async ({ bundle, config, weft: weftJson, weights }: FilesToCheck): Promise<CheckedAdapter> => {
    const what = `adapter bundle ${bundle.slice(0, 12)}`;
    const files = {
      [ADAPTER_CONFIG_FILE]: config,
      [ADAPTER_WEIGHTS_FILE]: memory.read(weights),
      [WEFT_FILE]: weftJson,
    };
    const base = baseOf(readWeftFile(files, what).base_model);
    const { architecture, poolings } = await base.outline;
    const { weft, description } = readAdapterFiles(files, adapterBase(base.source, architecture), what);
    if (!poolings.includes(weft.pooling)) {
      throw new AppError(
        'invalid_adapter',
        `${what} needs a pooler, which base model ${weft.base_model} lacks`,
      );
    }
    const changed = new Set(description.targets.map(({ module }) => module));
    const layers = architecture.linears(weft.pooling).filter(({ name }) => changed.has(name));
    const modules = layers.map(({ name }) => name);
    const { labels, pooling, max_length: maxLength, temperature = 1 } = weft;
    const group = { base: weft.base_model, precision: weft.base_precision, kind: description.kind, modules };
    return { labels, pooling, maxLength, temperature, description, group };
  },
};
export type CheckHandlers = typeof handlers;

serveCalls(handlers);

function baseOf(id: string): KnownBase {
  const found = bases.get(id);
  if (found) return found;
  const served = [...bases.keys()].join(', ');
  throw new AppError('model_not_found', `this node serves ${served}, not ${id.slice(0, 128)}`);
}

function adapterBase({ id, sha256 }: BaseModelSource, architecture: Architecture): AdapterBase {
  const { family, hiddenSize, intermediateSize, layers, maxLength } = architecture;
  return {
    id,
    sha256,
    family: family.name,
    hidden_size: hiddenSize,
    num_layers: layers,
    max_length: maxLength,
    intermediate_size: intermediateSize,
  };
}

import { workerData } from 'node:worker_threads';
import type { AdapterDescription } from '../../shared/adapter-description.ts';
import { AppError } from '../../shared/errors.ts';
import type { Pooling } from '../../shared/peft-config.ts';
import type { BundleBytes } from '../adapter-store.ts';
import { loadTokenizer } from '../data/tokenizer.ts';
import { type BaseModelSource, openBaseModel } from '../models/open-base-model.ts';
import { type AdapterBase, readAdapterFiles } from '../weights/adapter-file.ts';
import { serveCalls } from './worker-thread.ts';

export interface PrepareWorkerData {
  base: BaseModelSource;
}

/** An adapter whose files fit each other and the base model. */
export interface CheckedAdapter {
  labels: readonly string[];
  pooling: Pooling;
  /** Tokens that a text is cut to. */
  maxLength: number;
  /** What logits are divided by. */
  temperature: number;
  description: AdapterDescription;
  /** Names of the layers it changes, in the order of the forward pass. */
  modules: readonly string[];
  /** adapter_model.safetensors. */
  weights: Uint8Array;
}

const { base } = workerData as PrepareWorkerData;
const model = openBaseModel(base);
const tokenizer = loadTokenizer(base.folder, base.id);
for (const start of [model, tokenizer]) start.catch(() => {});

/** What costs time in proportion to what a stranger sends: tokenizing texts, and checking an adapter's files. */
const handlers = {
  tokenize: async (texts: readonly { text: string; maxLength: number }[]) => {
    const words = await tokenizer;
    return texts.map(({ text, maxLength }) => words.encode(text, maxLength));
  },
  check: async ({ bundle, files }: { bundle: string; files: BundleBytes }): Promise<CheckedAdapter> => {
    const { architecture, poolings } = await model;
    const what = `adapter bundle ${bundle.slice(0, 12)}`;
    const { weft, description, weights } = readAdapterFiles(files, await adapterBase(), what);
    if (!poolings.includes(weft.pooling)) {
      throw new AppError('invalid_adapter', `${what} needs a pooler, which base model ${base.id} lacks`);
    }
    const changed = new Set(description.targets.map(({ module }) => module));
    const layers = architecture.linears(weft.pooling).filter(({ name }) => changed.has(name));
    const modules = layers.map(({ name }) => name);
    const { labels, pooling, max_length: maxLength, temperature = 1 } = weft;
    return { labels, pooling, maxLength, temperature, description, modules, weights };
  },
};
export type PrepareHandlers = typeof handlers;

serveCalls(handlers);

async function adapterBase(): Promise<AdapterBase> {
  const { hiddenSize, layers, maxLength, linears } = (await model).architecture;
  const feedForward = linears('mean').find(({ name }) => name.endsWith('.intermediate.dense'));
  return {
    id: base.id,
    sha256: base.sha256,
    hidden_size: hiddenSize,
    num_layers: layers,
    max_length: maxLength,
    ...(feedForward && { intermediate_size: feedForward.outFeatures }),
  };
}

import { workerData } from 'node:worker_threads';
import { type BaseModelSource, openBaseModel, openBaseTensors } from '../models/open-base-model.ts';
import { Moved, serveCalls } from '../runtime/worker-thread.ts';
import { type AdapterToMerge, mergedModelFile } from './model-file.ts';
import { describeFolder, type MergedClassifier } from './transformers-folder.ts';

/** The worker's task: one folder to make. */
export interface ExportWorkerData {
  base: BaseModelSource;
  adapter: AdapterToMerge & Omit<MergedClassifier, 'base'>;
}

const { base: source, adapter } = workerData as ExportWorkerData;
// Every call reports the failure; without this it would end the process before the first call came.
const opened = open();
opened.catch(() => {});

const handlers = {
  /** Returns the small files by name, and the number of bytes of the model's weights. */
  open: async (_: null) => {
    const { files, model } = await opened;
    return { files, modelBytes: model.bytes };
  },
  /** Returns the next bytes of the model's weights; undefined at their end. */
  next: async (_: null): Promise<Moved<Uint8Array | undefined>> => {
    const { value } = await (await opened).chunks.next();
    return value ? new Moved(value, [value.buffer]) : new Moved(undefined, []);
  },
};
export type ExportHandlers = typeof handlers;

serveCalls(handlers, async () => {
  await opened.then(
    ({ tensors }) => tensors.close(),
    () => {},
  );
});

/** Opens the base model in fp32: an adapter of any precision is merged into the weights as they were published. */
async function open() {
  const base = await openBaseModel(source, 'fp32');
  const tensors = await openBaseTensors(source, base.architecture);
  const model = await mergedModelFile(adapter, base, tensors);
  const files = await describeFolder({ ...adapter, base: source }, base.architecture);
  return { files, model, tensors, chunks: model.chunks() };
}

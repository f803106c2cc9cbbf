import { workerData } from 'node:worker_threads';
import type { AdapterDescription } from '../../shared/adapter-description.ts';
import type { BasePrecision, Pooling } from '../../shared/peft-config.ts';
import type { TensorEntry } from '../../shared/safetensors.ts';
import { loadAdapter } from '../methods/index.ts';
import { type BaseModelSource, openBaseModel } from '../models/open-base-model.ts';
import type { Plan } from '../parts/index.ts';
import type { Device } from '../runtime/device.ts';
import { serveCalls } from '../runtime/worker-thread.ts';
import { type StoredBytes, StoredBytesReader } from './adapter-memory.ts';
import { Forward, type ForwardRow } from './forward.ts';
import { SharedValues } from './shared-values.ts';
import type { TierCounts } from './tier.ts';

/** Data for a worker's start; it builds its session at once. */
export interface ForwardWorkerData {
  base: BaseModelSource;
  precision: BasePrecision;
  /** The places that its adapters may change. */
  plan: Plan;
  /** Memory that holds its adapters. */
  memory: SharedArrayBuffer;
  slots: number;
  /** Most bytes of its session's stacks. */
  stackBytes: number;
  device: Device;
  threads: number;
}

/** Effects of a run on its session's slots. */
export interface SlotReport extends TierCounts {
  /** Number of taken slots after it, and the bytes of the stacks. */
  taken: number;
  bytes: number;
}

export interface AdapterToLoad {
  handle: string;
  description: AdapterDescription;
  pooling: Pooling;
  /** Its files of tensors as one piece, which stays where it is until the adapter is dropped. */
  weights: StoredBytes;
}

const data = workerData as ForwardWorkerData;
const memory = new StoredBytesReader(data.memory);
const base = openBaseModel(data.base, data.precision);
const forward = createForward(data);
const descriptions = new SharedValues<AdapterDescription>();
// Every call reports the failure; without this it would end the process before the first call came.
for (const start of [base, forward]) start.catch(() => {});

const handlers = {
  /** Resolves when the session is built. */
  ready: async (_: null) => {
    await forward;
  },
  /** Loads an adapter; returns the widths of its rows. */
  load: async ({ handle, description, pooling, weights }: AdapterToLoad) => {
    const bytes = ({ begin, end }: TensorEntry) => memory.read(weights, begin, end);
    const served = await loadAdapter(descriptions.shared(description), bytes, await base);
    return (await forward).load(handle, served, pooling);
  },
  drop: async (handle: string) => {
    (await forward).drop(handle);
  },
  inSlot: async (handle: string) => (await forward).inSlot(handle),
  run: async (rows: readonly ForwardRow[]) => {
    const model = await forward;
    const before = { runs: model.runs, ...model.slotCounts };
    const start = performance.now();
    const logits = await model.run(rows);
    const milliseconds = performance.now() - start;
    const { hits, misses, evictions } = model.slotCounts;
    const slots: SlotReport = {
      hits: hits - before.hits,
      misses: misses - before.misses,
      evictions: evictions - before.evictions,
      taken: model.slotsTaken,
      bytes: model.bytes,
    };
    return { logits, milliseconds, runs: model.runs - before.runs, slots };
  },
};
export type ForwardHandlers = typeof handlers;

serveCalls(handlers, async () => {
  await forward.then(
    (model) => model.release(),
    () => {},
  );
});

async function createForward({
  plan,
  slots,
  stackBytes,
  device,
  threads,
}: ForwardWorkerData): Promise<Forward> {
  return Forward.create({ base: await base, plan, slots, stackBytes, device, threads });
}

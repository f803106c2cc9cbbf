import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createLog } from '../../gpu-node/log.ts';
import type { BaseModelSource } from '../../gpu-node/models/open-base-model.ts';
import { locateBaseModel } from '../../gpu-node/weights/locate-base-model.ts';
import { homeFolder } from '../../scripts/home.ts';
import { type AdapterShape, type WrittenAdapter, writeAdapters } from './adapters.ts';
import { Texts } from './texts.ts';

export interface BenchOptions {
  /** Folder of the texts. */
  readonly data: string;
  /** A base model's registry id or folder. */
  readonly base: string;
  readonly threads: number;
  readonly python: string;
  /** Turns of each side; a figure may take several batches or many requests a turn. */
  readonly rounds: number;
}

/** The common inputs of every measurement. */
export interface Bench extends BenchOptions {
  readonly source: BaseModelSource;
  readonly texts: Texts;
  /** The home of the measured daemons. */
  readonly home: string;
  /** The folder of packages that only peers need. */
  readonly peers: string;
}

export async function openBench(options: BenchOptions): Promise<Bench> {
  const platform = homeFolder();
  const home = join(platform, 'bench');
  const located = await locateBaseModel(options.base, {
    home: platform,
    log: createLog(process.stderr, true),
  });
  return {
    ...options,
    source: { ...located, weightsFolder: join(home, 'weights') },
    texts: await Texts.read(options.data),
    home,
    peers: join(platform, 'peers'),
  };
}

/** LoRA of a rank on some layers. */
export function loraOf(r: number, target_modules: string[] | 'all-linear'): AdapterShape['methods'][number] {
  return { type: 'lora', r, target_modules };
}

export const USUAL_SHAPE: AdapterShape = {
  precision: 'fp32',
  methods: [loraOf(8, ['query', 'value'])],
  labels: 4,
  maxLength: 128,
};

/** Writes adapters into the daemon's cache folder, which then holds nothing else. */
export async function freshAdapters(
  { home, source }: Bench,
  count: number,
  shape: Partial<AdapterShape> = {},
): Promise<WrittenAdapter[]> {
  const cache = join(home, 'cache', 'adapters');
  await rm(cache, { recursive: true, force: true });
  return writeAdapters(cache, source, count, { ...USUAL_SHAPE, ...shape });
}

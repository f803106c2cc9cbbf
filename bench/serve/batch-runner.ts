import { join } from 'node:path';
import type { BaseModelSource } from '../../gpu-node/models/open-base-model.ts';
import { LineProcess } from '../line-process.ts';

/** Programs that answer batches in a process of their own: each reads a setup line, then a batch a line. */
export const RUNNERS = {
  weft: () => [process.execPath, peer('weft-batches.ts')],
  peft: (python: string) => [python, peer('peft_batches.py')],
  'transformers.js': () => [process.execPath, peer('transformers-js-batches.ts')],
} satisfies Record<string, (python: string) => string[]>;

export interface BatchSetup {
  readonly base: BaseModelSource;
  /** Weft: the base model's, as `base_precision`; HF PEFT: `fp32`, `autocast` or `bf16`; transformers.js: a `dtype`. */
  readonly precision: string;
  readonly threads: number;
  /** Folders of the adapters' files. Without any, Weft runs the encoder and pooling alone. */
  readonly adapters: readonly string[];
  /** The folders of transformers.js and of its model. */
  readonly peers: string;
  readonly model?: string;
}

export interface BatchRow {
  readonly ids: readonly number[];
  /** Index of the row's adapter. */
  readonly adapter: number;
}

export interface BatchAnswer {
  /** Milliseconds from token ids to logits. */
  readonly ms: number;
  readonly logits: readonly (readonly number[])[];
}

interface Ready {
  readonly versions: string;
  readonly loadMs?: number;
}

export class BatchRunner {
  readonly name: string;
  readonly versions: string;
  readonly times: number[] = [];
  /** Median time that an adapter took to be read, checked and put into the memory of all lanes; of Weft with adapters alone. */
  readonly loadMs: number | undefined;
  readonly #process: LineProcess<Ready>;

  private constructor(name: string, process: LineProcess<Ready>) {
    this.name = name;
    this.#process = process;
    this.versions = process.ready.versions;
    this.loadMs = process.ready.loadMs;
  }

  static async start(kind: keyof typeof RUNNERS, python: string, setup: BatchSetup): Promise<BatchRunner> {
    const name = `${setup.adapters.length > 0 ? kind : 'bare base'} ${setup.precision}`;
    return new BatchRunner(name, await LineProcess.start(RUNNERS[kind](python), setup));
  }

  async run(rows: readonly BatchRow[]): Promise<BatchAnswer> {
    return this.#process.ask<BatchAnswer>(rows);
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }
}

function peer(file: string): string {
  return join(import.meta.dirname, '..', 'peers', file);
}

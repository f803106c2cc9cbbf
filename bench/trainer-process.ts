import { join } from 'node:path';
import type { BaseModelSource } from '../gpu-node/models/open-base-model.ts';
import type { TrainingExample } from '../gpu-node/train/parts.ts';
import type { PeftConfig } from '../shared/peft-config.ts';
import { LineProcess } from './line-process.ts';

export type PeerPrecision = 'fp32' | 'bf16';

export interface TrainerSetup {
  readonly base: BaseModelSource;
  /** What is trained. Only Weft heeds its dropout and its `base_precision`. */
  readonly config: PeftConfig;
  /** Of a peer: `fp32`, or `bf16` for autocast. */
  readonly precision?: PeerPrecision;
  readonly threads: number;
  readonly labels: number;
  readonly learningRate: number;
  readonly clip: number;
  /** True if the base model's own dropout is on, as its config.json and `model.train()` have it. Weft has none. */
  readonly baseDropout: boolean;
  /** First values of the trained tensors, by name in transformers' classification model. Weft draws and reports them. */
  readonly parameters?: Readonly<Record<string, readonly number[]>>;
}

export interface Step {
  readonly loss: number;
  /** Milliseconds from a batch to updated weights, measured in the trainer; a peer's batch is padded before. */
  readonly ms: number;
  /** Processor time of all threads, in milliseconds. */
  readonly cpuMs: number;
}

interface Ready {
  readonly versions: string;
  readonly parameters?: Readonly<Record<string, readonly number[]>>;
}

/**
 * Command lines of Weft and of the libraries on torch, HF PEFT's or AdapterHub's as the Python has it. All speak one protocol of one JSON line
 * each way: a setup, then a batch for each step.
 */
const COMMANDS = {
  weft: () => [process.execPath, join(import.meta.dirname, 'weft-trainer.ts')],
  torch: (python: string) => [python, join(import.meta.dirname, 'peers/torch_trainer.py')],
} satisfies Record<string, (python: string) => string[]>;

/** A trainer that makes one step when told to, and idles otherwise. */
export class TrainerProcess {
  /** Milliseconds from the start of the process until its first step is done; undefined before. */
  firstStepMs: number | undefined;
  readonly #process: LineProcess<Ready>;
  readonly #started: number;

  private constructor(process: LineProcess<Ready>, started: number) {
    this.#process = process;
    this.#started = started;
  }

  /** Starts a trainer. @throws when it ends before it is ready; its own message is on stderr. */
  static async start(
    kind: keyof typeof COMMANDS,
    python: string,
    setup: TrainerSetup,
  ): Promise<TrainerProcess> {
    const started = performance.now();
    return new TrainerProcess(await LineProcess.start<Ready>(COMMANDS[kind](python), setup), started);
  }

  get versions(): string {
    return this.#process.ready.versions;
  }

  get parameters(): Ready['parameters'] {
    return this.#process.ready.parameters;
  }

  async step(batch: readonly TrainingExample[]): Promise<Step> {
    const step = await this.#process.ask<Step>(
      batch.map(({ ids, label }) => ({ ids: Array.from(ids), label })),
    );
    this.firstStepMs ??= performance.now() - this.#started;
    return step;
  }

  /** Ends the trainer. Returns the most memory that it ever held, in MiB. */
  async stop(): Promise<number> {
    const last = this.#process.next<{ peakMiB: number }>();
    await this.#process.stop();
    return (await last).peakMiB;
  }
}

import type { Device } from '../../gpu-node/runtime/device.ts';
import type { Progress } from '../../shared/api/jobs.ts';
import type { Measured, Run } from './result.ts';
import type { RunData } from './rows.ts';

/** The base model of an experiment, on disk. */
export interface ExperimentBase {
  readonly id: string;
  /** The folder with config.json, tokenizer.json and model.safetensors. */
  readonly folder: string;
  /** SHA-256 of model.safetensors. */
  readonly sha256: string;
  /** The folder for files that the platform makes of the model's weights. */
  readonly weightsFolder: string;
  /** Number of parameters in model.safetensors. */
  readonly parameters: number;
}

/** A run with everything that an engine needs for it. */
export interface Job {
  readonly run: Run;
  readonly data: RunData;
  readonly base: ExperimentBase;
  /** An empty folder, removed after the run. */
  readonly folder: string;
  readonly device: Device;
  readonly threads: number;
  readonly signal: AbortSignal;
  onProgress(progress: Progress): void;
}

/** Trains a run and measures it. It keeps its resources from run to run until it is stopped. */
export interface Engine {
  measure(job: Job): Promise<Measured>;
  stop(): Promise<void>;
}

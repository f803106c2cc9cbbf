import { availableParallelism } from 'node:os';
import { env, InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { DType } from '../graph/ir.ts';
import type { Device } from './device.ts';

/** The runtime's own log is off: failures are thrown with place and name, and it would only print them again. */
env.logLevel = 'fatal';

/** onnxruntime's version, e.g. `1.30.0`. */
export const RUNTIME_VERSION = env.versions.node ?? env.versions.common;

/** JavaScript arrays of a tensor's elements; float16 as bit patterns, bool as 0 and 1. */
export interface ElementArrays {
  float32: Float32Array;
  float16: Uint16Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int8: Int8Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

/** A tensor at run time; `Tensor` without a parameter is a union discriminated by `dtype`. */
export type Tensor<T extends DType = DType> = {
  [K in T]: { readonly dtype: K; readonly shape: readonly number[]; readonly data: ElementArrays[K] };
}[T];

/** Makes a tensor from row-major elements: `tensor('int32', [2, 3], ids)`. The data is not copied. */
export function tensor<T extends DType>(
  dtype: T,
  shape: readonly number[],
  data: ElementArrays[T],
): Tensor<T> {
  return { dtype, shape, data } as unknown as Tensor<T>;
}

export type Feeds = Readonly<Record<string, Tensor>>;
export type Outputs = Readonly<Record<string, Tensor>>;

/** The elements of a float32 output. @throws if the session has no such output, or it has another dtype. */
export function floats(outputs: Outputs, name: string): Float32Array {
  const output = outputs[name];
  if (output?.dtype !== 'float32')
    throw new Error(`output ${name} is ${output?.dtype ?? 'missing'}, not float32`);
  return output.data;
}

export interface SessionOptions {
  /** Name of the session in error messages. */
  readonly name?: string;
  /** Execution provider; `cpu` by default. */
  readonly device?: Device;
  /** Threads per operator, including the calling thread; all cores by default. */
  readonly threads?: number;
  /** Folder of the weight files for a model given as bytes. A model given by path has them in its own folder. */
  readonly weightsFolder?: string;
  /** Prefix of onnxruntime's profile (Chrome trace format), written to `<prefix>_<time>.json`; `release()` ends it. */
  readonly profilePrefix?: string;
}

/**
 * A loaded model. `run` blocks its thread while it computes, although it returns a promise: use sessions in a worker thread or a child
 * process. Its memory is native: call `release()`.
 */
export class Session {
  readonly name: string;
  readonly #session: InferenceSession;
  readonly #profiling: boolean;

  private constructor(session: InferenceSession, name: string, profiling: boolean) {
    this.#session = session;
    this.name = name;
    this.#profiling = profiling;
  }

  /** Loads ONNX bytes, or a model file. @throws if the runtime rejects the model, naming the session. */
  static async create(model: Uint8Array | string, options: SessionOptions = {}): Promise<Session> {
    const name = options.name ?? (typeof model === 'string' ? model : 'session');
    const settings = runtimeOptions(options);
    try {
      const session = await (typeof model === 'string'
        ? InferenceSession.create(model, settings)
        : InferenceSession.create(model, settings));
      return new Session(session, name, options.profilePrefix !== undefined);
    } catch (cause) {
      throw new Error(`${name}: the runtime rejects the model: ${messageOf(cause)}`, { cause });
    }
  }

  get inputNames(): readonly string[] {
    return this.#session.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.#session.outputNames;
  }

  /**
   * Runs the model on every input that it declares, and returns all outputs or those named. Feeds are read in place: do not change them
   * until the promise resolves. @throws naming the session if a feed is missing, has another dtype or does not fit.
   */
  async run(feeds: Feeds, outputs: readonly string[] = this.outputNames): Promise<Outputs> {
    const inputs = Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, toOrt(feed)]));
    try {
      const results = await this.#session.run(inputs, outputs);
      return Object.fromEntries(Object.entries(results).map(([name, result]) => [name, fromOrt(result)]));
    } catch (cause) {
      throw new Error(`${this.name}: ${messageOf(cause)}`, { cause });
    }
  }

  /** Frees the native memory. The session cannot be used afterwards. */
  async release(): Promise<void> {
    if (this.#profiling) this.#session.endProfiling();
    await this.#session.release();
  }
}

/**
 * Options for onnxruntime. Threads spin inside a run and sleep between runs, so that they leave the cores to other sessions. Weights are
 * repacked for products, onnxruntime's default: training steps are faster with it (bench/README.md, What a step takes).
 */
function runtimeOptions(options: SessionOptions): InferenceSession.SessionOptions {
  const device = options.device ?? 'cpu';
  const session: Record<string, unknown> = { force_spinning_stop: '1' };
  if (options.weightsFolder !== undefined) {
    session.model_external_initializers_file_folder_path = options.weightsFolder;
  }
  return {
    executionProviders: device === 'cpu' ? ['cpu'] : [device, 'cpu'],
    intraOpNumThreads: options.threads ?? availableParallelism(),
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    extra: { session },
    ...(options.profilePrefix !== undefined && {
      enableProfiling: true,
      profileFilePrefix: options.profilePrefix,
    }),
  };
}

function toOrt({ dtype, shape, data }: Tensor): OrtTensor {
  return new OrtTensor(dtype, data as never, shape);
}

function fromOrt({ type, dims, data }: OrtTensor): Tensor {
  return tensor(type as DType, dims, data as never);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

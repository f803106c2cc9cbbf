import type { BasePrecision } from '../../shared/peft-config.ts';
import { elementCount } from '../graph/shapes.ts';
import type { Architecture } from '../models/model.ts';
import type { Device } from '../runtime/device.ts';
import { RUN_TOKENS_PER_THREAD } from '../runtime/run-tokens.ts';

/** Most lanes: each takes memory for its session's packed weights, its slots and a JavaScript heap (docs/operations.md, Sizes). */
const MAX_LANES = 4;
/** Tokens of one run on a device that is no CPU. */
const RUN_TOKENS_OF_DEVICE = 4096;

/** Bytes of a lane besides packed weights and stacks: its thread's heap and its session's activations. */
const LANE_BYTES = 36e6;
/** Bytes of a session's packed copy per element of the base model's matrices; 4-bit matrices are read in place. */
const PACKED_BYTES: Readonly<Record<BasePrecision, number>> = { fp32: 4, int8: 1, nf4: 0 };

/** Bytes of a lane, without the stacks of its adapters. */
export function laneBytes({ weights }: Pick<Architecture, 'weights'>, precision: BasePrecision): number {
  const matrices = weights.filter(({ role }) => role === 'matrix');
  const elements = matrices.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return LANE_BYTES + PACKED_BYTES[precision] * elements;
}

/** Division of a node's threads for serving the adapters of a group. */
export interface Lanes {
  /** Number of equal sessions, each in a worker of its own, that take turns at the waiting rows. */
  readonly count: number;
  /** Threads of each session. */
  readonly threads: number;
  /** Padded tokens of one run by default. */
  runTokens(precision: BasePrecision): number;
}

/**
 * Divides threads into one lane each, at most four. Threads that share each operator of a small encoder wait for each other more than they
 * gain, and whatever takes one of their cores stops all. So lanes of one thread answer more texts (bench/README.md, What a run takes). In
 * int8 a token takes as long in short runs as in long ones, and newcomers wait less for short ones.
 */
export function lanesOf(device: Device, threads: number): Lanes {
  if (device !== 'cpu') return { count: 1, threads, runTokens: () => RUN_TOKENS_OF_DEVICE };
  const count = Math.min(threads, MAX_LANES);
  const each = Math.floor(threads / count);
  return { count, threads: each, runTokens: (precision) => RUN_TOKENS_PER_THREAD[precision] * each };
}

import type { BasePrecision } from '../../shared/peft-config.ts';
import { elementCount } from '../graph/shapes.ts';
import type { Architecture } from '../models/model.ts';
import type { Device } from '../runtime/device.ts';
import { RUN_TOKENS_PER_THREAD } from '../runtime/run-tokens.ts';

/** Each lane has its session's packed weights, slots and a JavaScript heap: some 45 MB with MiniLM in int8. */
const MAX_LANES = 4;
/** Tokens of one run where the device is no processor. */
const RUN_TOKENS_OF_DEVICE = 4096;

/** What a lane takes beside packed weights and stacks: its thread's heap, its session's activations. */
const LANE_BYTES = 36e6;
/** A session's packed copy of an element of the base model's matrices; those of 4 bits are read where they lie. */
const PACKED_BYTES: Readonly<Record<BasePrecision, number>> = { fp32: 4, int8: 1, nf4: 0 };

/** What a lane takes, without the stacks of its adapters. */
export function laneBytes({ weights }: Pick<Architecture, 'weights'>, precision: BasePrecision): number {
  const matrices = weights.filter(({ role }) => role === 'matrix');
  const elements = matrices.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return LANE_BYTES + PACKED_BYTES[precision] * elements;
}

/** How a node's threads are divided to serve the adapters of a group. */
export interface Lanes {
  /** Sessions alike, each in a worker of its own, that take turns at what waits. */
  readonly count: number;
  /** Of each session. */
  readonly threads: number;
  /** Padded tokens of one run, unless told otherwise. */
  runTokens(precision: BasePrecision): number;
}

/**
 * One lane a thread, four at most. Where two threads share each operator of a small encoder, they wait for each other more than they
 * gain, and whatever takes one of their cores stops both: on two cores two lanes answer 2.2 times as many texts of 48 tokens in int8 as one
 * of two threads, each as soon, and 1.0 to 1.3 times as many in float32, where a text alone takes half as long again. In int8 a token
 * takes as long in runs of 48 as of 512, and who comes next waits for less.
 */
export function lanesOf(device: Device, threads: number): Lanes {
  if (device !== 'cpu') return { count: 1, threads, runTokens: () => RUN_TOKENS_OF_DEVICE };
  const count = Math.min(threads, MAX_LANES);
  const each = Math.floor(threads / count);
  return { count, threads: each, runTokens: (precision) => RUN_TOKENS_PER_THREAD[precision] * each };
}

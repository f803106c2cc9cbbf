import { mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { explain, type Log } from '../log.ts';
import type { Device } from '../runtime/device.ts';
import { describeProcessor } from '../runtime/machine.ts';
import { race } from './probe.ts';

/** Milliseconds of each run of a product, per precision, timed in turns. */
export interface Race {
  readonly fp32: readonly number[];
  readonly int8: readonly number[];
}

/** Least speed-up that makes 8-bit products worth their rounding: the work around them costs the same either way. */
const WORTHWHILE = 1.5;
/** A race within this factor of the threshold goes on, in the hope of shorter runs. */
const MARGIN = 1.2;
const ROUNDS = { least: 24, most: 192 };
/**
 * Runs that must lie within a tenth of the shortest before that counts as the time of a product: a single run may have been kept waiting.
 */
const CONFIRMED_BY = 3;
const NEAR = 1.1;

export type MeasuredPrecision = 'fp32' | 'int8';

/**
 * The decision of a race; undefined while it is too early. If even the longest race leaves it open, float32 wins, because it rounds less.
 */
export function decidePrecision({ fp32, int8 }: Race): MeasuredPrecision | undefined {
  const isLast = fp32.length >= ROUNDS.most;
  const isSettled = fp32.length >= ROUNDS.least && isConfirmed(fp32) && isConfirmed(int8);
  if (!isSettled && !isLast) return undefined;
  const times = Math.min(...fp32) / Math.min(...int8);
  if (times >= MARGIN * WORTHWHILE) return 'int8';
  if (times <= WORTHWHILE / MARGIN) return 'fp32';
  return isLast ? 'fp32' : undefined;
}

function isConfirmed(times: readonly number[]): boolean {
  const best = Math.min(...times);
  return times.filter((time) => time <= NEAR * best).length >= CONFIRMED_BY;
}

const FILE = 'auto-precision.json';
/** Most combinations of processor and runtime version kept in one home. */
const MAX_KEPT = 32;
const MAX_BYTES = 64 * 1024;
const kept = z
  .array(z.strictObject({ processor: z.string().max(512), precision: z.enum(['fp32', 'int8']) }))
  .max(MAX_KEPT);
type Kept = z.infer<typeof kept>;

/** Reads a file that anybody may have written; undefined if it is not in our format. */
export function parseKept(text: string): Kept | undefined {
  try {
    return kept.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

export interface AutoPrecisionOptions {
  /** The home that keeps the decision. */
  home: string;
  device: Device;
  log: Log;
  processor?: string;
  measure?: () => Promise<MeasuredPrecision>;
}

/**
 * The meaning of `"auto"` for a base model on this machine: 8 bits if their products are sufficiently faster than those of float32. It is
 * measured once per processor and runtime version and kept in `auto-precision.json` of the home, so that no start under load decides anew.
 * Without that file the next start measures again.
 */
export async function autoPrecision(options: AutoPrecisionOptions): Promise<MeasuredPrecision> {
  const {
    home,
    device,
    log,
    processor = describeProcessor(),
    measure = () => race(decidePrecision),
  } = options;
  if (device !== 'cpu') return 'fp32';
  const path = join(home, FILE);
  const known = await readKept(path, log);
  const found = known.find((each) => each.processor === processor);
  if (found) return found.precision;
  const precision = await measure();
  log.info('measured which precision is faster', { precision, processor, kept_in: path });
  const others = known.slice(-(MAX_KEPT - 1));
  await keep(home, path, [...others, { processor, precision }]).catch((error) => {
    log.warn('what was measured cannot be kept', { file: path, reason: explain(error) });
  });
  return precision;
}

async function readKept(path: string, log: Log): Promise<Kept> {
  const text = await readStart(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT')
      log.warn('what was measured cannot be read', { file: path, reason: explain(error) });
    return undefined;
  });
  if (text === undefined) return [];
  const found = parseKept(text);
  if (!found) log.warn('this file does not hold what a start measured: measured anew', { file: path });
  return found ?? [];
}

/** Reads at most one byte more than a file may have; that byte makes it invalid. */
async function readStart(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1, 0);
    return bytesRead > MAX_BYTES ? '' : buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Writes the file in one step, because nodes of one home read it at the same time. */
async function keep(home: string, path: string, all: Kept): Promise<void> {
  await mkdir(home, { recursive: true });
  const partial = `${path}.${process.pid}`;
  await writeFile(partial, JSON.stringify(all, null, 2));
  await rename(partial, path);
}

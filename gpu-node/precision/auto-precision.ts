import { mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { explain, type Log } from '../log.ts';
import type { Device } from '../runtime/device.ts';
import { describeProcessor } from '../runtime/machine.ts';
import { race } from './probe.ts';

/** Milliseconds of the runs of a product in each precision, which were timed by turns. */
export interface Race {
  readonly fp32: readonly number[];
  readonly int8: readonly number[];
}

/** By how much 8-bit products must be faster to be worth their rounding: what surrounds them costs the same either way. */
const WORTHWHILE = 1.5;
/** A race that ends this much nearer to that goes on, in the hope of shorter runs. */
const MARGIN = 1.2;
const ROUNDS = { least: 24, most: 192 };
/** The shortest run is what a product takes where so many were within a tenth of it: a single one may have been kept waiting as well. */
const CONFIRMED_BY = 3;
const NEAR = 1.1;

export type MeasuredPrecision = 'fp32' | 'int8';

/** What a race has come to; undefined where it is too early to say. Where even the longest leaves it open, float32 rounds less. */
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
/** Processors, and versions of the runtime, that one home is used with. */
const MAX_KEPT = 32;
const MAX_BYTES = 64 * 1024;
const kept = z
  .array(z.strictObject({ processor: z.string().max(512), precision: z.enum(['fp32', 'int8']) }))
  .max(MAX_KEPT);
type Kept = z.infer<typeof kept>;

/** What a file of that name says, which anybody may have written; undefined where it is none of ours. */
export function parseKept(text: string): Kept | undefined {
  try {
    return kept.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

export interface AutoPrecisionOptions {
  /** Where it is kept. */
  home: string;
  device: Device;
  log: Log;
  processor?: string;
  measure?: () => Promise<MeasuredPrecision>;
}

/**
 * What `"auto"` means for a base model here: 8 bits where products in 8 bits are so much faster than those of float32. It is measured once
 * for each processor and version of the runtime, and kept in `auto-precision.json` of the home, so that no start under load decides anew:
 * without that file the next one measures.
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

/** As much as a file may have, and a byte more, which makes it none. */
async function readStart(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1, 0);
    return bytesRead > MAX_BYTES ? '' : buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** At once, as nodes of one home read it beside each other. */
async function keep(home: string, path: string, all: Kept): Promise<void> {
  await mkdir(home, { recursive: true });
  const partial = `${path}.${process.pid}`;
  await writeFile(partial, JSON.stringify(all, null, 2));
  await rename(partial, path);
}

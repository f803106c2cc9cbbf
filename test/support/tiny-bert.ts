import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TokenBatch } from '../../gpu-node/models/inputs.ts';
import type { BaseModel } from '../../gpu-node/models/model.ts';
import { openBaseModel } from '../../gpu-node/models/open-base-model.ts';

export const TINY_BERT = fileURLToPath(new URL('../fixtures/tiny-bert', import.meta.url));

/** Runs `use` with an empty folder that is removed afterwards. */
export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-test-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The fixture's base model; its weight file goes into `weightsFolder`. */
export function openTinyBert(weightsFolder: string): Promise<BaseModel> {
  return openBaseModel({ id: 'tiny-bert', folder: TINY_BERT, sha256: '0'.repeat(64), weightsFolder });
}

/** A batch as the fixtures' scripts write it. */
export interface FixtureBatch {
  input_ids: number[][];
  attention_mask: number[][];
  token_type_ids: number[][];
}

export function toTokenBatch(batch: FixtureBatch): TokenBatch {
  return {
    rows: batch.input_ids.length,
    length: batch.input_ids[0]!.length,
    inputIds: Int32Array.from(batch.input_ids.flat()),
    attentionMask: Float32Array.from(batch.attention_mask.flat()),
    tokenTypeIds: Int32Array.from(batch.token_type_ids.flat()),
  };
}

export interface ExpectedOutputs {
  classifier: { weight: number[][]; bias: number[] };
  batches: (FixtureBatch & {
    last_hidden_state: number[][][];
    pooler_output: number[][];
    cls_logits: number[][];
    mean_logits: number[][];
  })[];
}

export async function readExpected(): Promise<ExpectedOutputs> {
  return JSON.parse(await readFile(join(TINY_BERT, 'expected.json'), 'utf8'));
}

/** Largest absolute difference of two lists of equal length. */
export function maxDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < actual.length; i++) largest = Math.max(largest, Math.abs(actual[i]! - expected[i]!));
  return largest;
}

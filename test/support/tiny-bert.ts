import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TokenBatch } from '../../gpu-node/models/inputs.ts';
import type { BaseModel } from '../../gpu-node/models/model.ts';
import { type BaseModelSource, openBaseModel } from '../../gpu-node/models/open-base-model.ts';

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

/** A base model of `test/fixtures`; its weight file goes into `weightsFolder`. */
export function openFixture(id: string, weightsFolder: string): Promise<BaseModel> {
  const folder = fileURLToPath(new URL(`../fixtures/${id}`, import.meta.url));
  return openBaseModel({ id, folder, sha256: '0'.repeat(64), weightsFolder });
}

export function openTinyBert(weightsFolder: string): Promise<BaseModel> {
  return openFixture('tiny-bert', weightsFolder);
}

/**
 * A second base model, `other-bert`: a folder `other bert` under `parent` with the fixture's files, every weight larger by a
 * quarter.
 */
export async function otherTinyBert(parent: string): Promise<BaseModelSource> {
  const folder = join(parent, 'other bert');
  await mkdir(folder);
  for (const file of ['config.json', 'tokenizer.json']) {
    await copyFile(join(TINY_BERT, file), join(folder, file));
  }
  const bytes = await readFile(join(TINY_BERT, 'model.safetensors'));
  const weights = bytes.subarray(8 + Number(bytes.readBigUInt64LE()));
  for (let at = 0; at < weights.length; at += 4) weights.writeFloatLE(1.25 * weights.readFloatLE(at), at);
  await writeFile(join(folder, 'model.safetensors'), bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { id: 'other-bert', folder, sha256, weightsFolder: parent };
}

/** A batch as the fixtures' scripts write it. */
export interface FixtureBatch {
  input_ids: number[][];
  attention_mask: number[][];
  /** Absent for models without token types. */
  token_type_ids?: number[][];
}

export function toTokenBatch(batch: FixtureBatch): TokenBatch {
  return {
    rows: batch.input_ids.length,
    length: batch.input_ids[0]!.length,
    inputIds: Int32Array.from(batch.input_ids.flat()),
    attentionMask: Float32Array.from(batch.attention_mask.flat()),
    ...(batch.token_type_ids && { tokenTypeIds: Int32Array.from(batch.token_type_ids.flat()) }),
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

import { globSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withPlaceholders } from '../../gpu-node/data/placeholders.ts';
import { placeholdersOf } from '../../gpu-node/methods/index.ts';
import { PEFT_PREFIX } from '../../shared/methods/format.ts';
import { virtualTokensOf } from '../../shared/methods/text-room.ts';
import { type PeftConfig, peftConfig } from '../../shared/peft-config.ts';
import { ADAPTER_HEADER_BYTES, parseHeader, readTensors } from '../../shared/safetensors.ts';
import type { FixtureBatch } from './tiny-bert.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url));

/** The cases of `test/fixtures/peft-steps`, on tiny-bert, which scripts/fixtures/peft_steps.py and adapterhub_steps.py write. */
export const PEFT_CASES = readdirSync(join(FIXTURES, 'peft-steps')).sort();

/** Those that scripts/fixtures/families.py writes, by the base model's fixture. */
export const FAMILY_CASES = globSync('*/steps/*', { cwd: FIXTURES })
  .sort()
  .map((path) => {
    const [model, , name] = path.split(sep);
    return [model!, name!] as const;
  });

export interface PeftCase {
  config: PeftConfig;
  labels: number;
  learning_rate: number;
  weight_decay: number;
  max_grad_norm: number;
  warmup_steps: number;
  total_steps: number;
  losses: number[];
  gradient_norms: number[];
  batches: (FixtureBatch & { labels: number[] })[];
  /** Trained tensors by their name without PEFT's prefix. */
  initial: Map<string, Float32Array>;
  gradients: Map<string, Float32Array>;
  final: Map<string, Float32Array>;
}

/** Reads a case of a folder of `test/fixtures`. */
export async function readPeftCase(name: string, from = 'peft-steps'): Promise<PeftCase> {
  const path = (file: string) => join(FIXTURES, from, name, file);
  const given = JSON.parse(await readFile(path('case.json'), 'utf8'));
  const { type = 'lora' } = given;
  const fields = Object.keys(peftConfig.options.find(({ shape }) => shape.type.value === type)!.shape);
  const own = Object.fromEntries(Object.entries(given).filter(([name]) => fields.includes(name)));
  return {
    ...given,
    config: peftConfig.parse({
      ...(fields.includes('dropout') && { dropout: 0 }),
      ...own,
      type,
      base_precision: 'fp32',
    }),
    initial: await readTrained(path('initial.safetensors')),
    gradients: await readTrained(path('gradients.safetensors')),
    final: await readTrained(path('final.safetensors')),
  };
}

async function readTrained(path: string): Promise<Map<string, Float32Array>> {
  const file = await readFile(path);
  const header = parseHeader(file, file.length, { file: path, maxHeaderBytes: ADAPTER_HEADER_BYTES });
  const tensors = [...readTensors(file, header)];
  return new Map(tensors.map(([name, { data }]) => [name.slice(PEFT_PREFIX.length), data]));
}

/** A batch as texts stand in it behind a method's virtual tokens, which are tokens of type 0 that nothing masks. */
export function behindPlaceholders(batch: FixtureBatch, config: PeftConfig): FixtureBatch {
  const count = placeholdersOf(config, virtualTokensOf(config));
  const placeholders = withPlaceholders(count, new Int32Array(0));
  const before = (rows: number[][], of: (placeholder: number) => number) =>
    rows.map((row) => [...Array.from(placeholders, of), ...row]);
  return {
    input_ids: before(batch.input_ids, (id) => id),
    attention_mask: before(batch.attention_mask, () => 1),
    ...(batch.token_type_ids && { token_type_ids: before(batch.token_type_ids, () => 0) }),
  };
}

/**
 * Names of tensors whose gradient is 0 but for rounding: the bias of a key adds as much to all scores of a query, which the softmax does not
 * see. Adam makes whole steps of that rounding, so no two libraries' weights agree there.
 */
export const WITHOUT_GRADIENT = /\.(?:key|k_lin)\.bias$/;

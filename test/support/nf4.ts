import { readFileSync } from 'node:fs';

/** A matrix `[out, in]` and what bitsandbytes makes of it; see scripts/fixtures/nf4.py. */
export interface Nf4Case {
  shape: [number, number];
  elements: number[];
  codes: number[];
  /** Of the blocks, before double quantization. */
  absmax: number[];
  /** The same after it. */
  scales: number[];
  dequantized: number[];
}

export interface Nf4Fixture {
  dynamic_code: number[];
  scales: { elements: number[]; codes: number[]; absmax: number[]; offset: number; dequantized: number[] };
  matrices: Record<string, Nf4Case>;
}

export const NF4_FIXTURE: Nf4Fixture = JSON.parse(
  readFileSync(new URL('../fixtures/nf4.json', import.meta.url), 'utf8'),
);

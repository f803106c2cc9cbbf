import type { BasePrecision } from '../../shared/peft-config.ts';
import { fp32 } from './fp32.ts';
import { int8 } from './int8.ts';
import { nf4 } from './nf4.ts';
import type { Precision } from './precision.ts';
import { exactWeightBits } from './probe.ts';

/** Every precision of the frozen base model, made for this machine. */
const PRECISIONS: Readonly<Record<BasePrecision, () => Promise<Precision>>> = {
  fp32: async () => fp32,
  int8: async () => int8(await weightBits()),
  nf4: async () => nf4,
};

let measured: Promise<7 | 8> | undefined;

function weightBits(): Promise<7 | 8> {
  measured ??= exactWeightBits();
  return measured;
}

export function openPrecision(name: BasePrecision): Promise<Precision> {
  return PRECISIONS[name]();
}

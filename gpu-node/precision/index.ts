import type { BasePrecision } from '../../shared/peft-config.ts';
import { fp32 } from './fp32.ts';
import type { Precision } from './precision.ts';

/** Every precision of the frozen base model. */
export const PRECISIONS: Readonly<Record<BasePrecision, Precision>> = { fp32 };

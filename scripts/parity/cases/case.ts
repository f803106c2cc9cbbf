import type { PeftRequest, Pooling } from '../../../shared/peft-config.ts';

export interface TheirCase {
  name: string;
  pooling: Pooling;
  /** Number type of the imported file. */
  dtype: 'float32' | 'float16' | 'bfloat16';
  /** The library's name of the method (PEFT's `peft_type`, AdapterHub's name of a configuration), and its configuration. */
  method: string;
  config: Record<string, unknown>;
  /** Part of the names of the parameters that the library must not train. */
  frozen?: string;
}

/** What is trained here, and what there, by name. */
export interface Cases {
  ours: Readonly<Record<string, PeftRequest>>;
  theirs: readonly TheirCase[];
}

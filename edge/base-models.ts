import type { AdapterBase } from '../shared/adapter-check.ts';

/** A base model as a node has it. */
export interface BaseModel {
  id: string;
  sha256: string;
  precisions: string[];
  maxLength: number;
}

/** A base model to train on. */
export interface TrainableBase extends BaseModel {
  /** Of all its weights in fp32; null where unknown. */
  weightsBytes: number | null;
}

/** A node that has been heard of lately. */
export interface LiveNode {
  id: string;
  url: string;
  baseModels: BaseModel[];
}

/** A base model that adapters are checked against. */
export interface ImportBase extends AdapterBase {
  precisions: string[];
}

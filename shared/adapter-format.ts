import { z } from 'zod';
import { label, MAX_LABELS } from './api/rows.ts';
import { MAX_WEFT_BYTES } from './label-limits.ts';
import { basePrecision, MAX_SEQUENCE_LENGTH, MIN_TEXT_TOKENS, pooling } from './peft-config.ts';

/** HF PEFT reads the first two of these files; only Weft reads `weft.json`. */
export const ADAPTER_CONFIG_FILE = 'adapter_config.json';
export const ADAPTER_WEIGHTS_FILE = 'adapter_model.safetensors';
export const WEFT_FILE = 'weft.json';
export const BUNDLE_FILES = [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, WEFT_FILE] as const;
export const bundleFile = z.enum(BUNDLE_FILES);
export type BundleFile = z.infer<typeof bundleFile>;

/** Largest accepted files of an adapter, in bytes. */
export const MAX_FILE_BYTES: Readonly<Record<BundleFile, number>> = {
  [ADAPTER_CONFIG_FILE]: 256 * 1024,
  [ADAPTER_WEIGHTS_FILE]: 90 * 1024 * 1024,
  [WEFT_FILE]: MAX_WEFT_BYTES,
};

/** Bounds of `temperature`: no calibration lies beyond them, and scores stay finite within them. */
export const MIN_TEMPERATURE = 0.05;
export const MAX_TEMPERATURE = 20;

export const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'a lower-case hexadecimal SHA-256');

/** `weft.json`: the facts for serving that PEFT's own files do not hold. */
export const weftFile = z.strictObject({
  format: z.literal(1),
  labels: z.array(label).min(2).max(MAX_LABELS),
  pooling,
  max_length: z.int().min(MIN_TEXT_TOKENS).max(MAX_SEQUENCE_LENGTH),
  base_model: z.string(),
  /** SHA-256 of the base model's `model.safetensors`. */
  base_model_sha256: sha256Hex,
  base_precision: basePrecision,
  /** Logits are divided by this before the softmax, so that scores are calibrated; absent means 1. */
  temperature: z.number().min(MIN_TEMPERATURE).max(MAX_TEMPERATURE).optional(),
  /** Validation metrics in the form of `shared/packed-metrics.ts`; null where no rows were set aside. */
  metrics: z.unknown(),
});
export type WeftFile = z.infer<typeof weftFile>;

export const manifestEntry = z.strictObject({
  name: bundleFile,
  bytes: z.int().nonnegative(),
  sha256: sha256Hex,
});

/** An adapter's immutable set of files, sorted by name. */
export const bundleManifest = z.array(manifestEntry).length(BUNDLE_FILES.length);
export type BundleManifest = z.infer<typeof bundleManifest>;

/**
 * The bytes whose SHA-256 is the bundle's id: one line `name bytes sha256` per file, by name. Equal files give an equal id on every
 * machine, so a node may keep a bundle under it for ever and check fetched files against it.
 */
export function canonicalManifest(manifest: BundleManifest): string {
  const byName = [...manifest].sort((a, b) => (a.name < b.name ? -1 : 1));
  return byName.map(({ name, bytes, sha256 }) => `${name} ${bytes} ${sha256}\n`).join('');
}

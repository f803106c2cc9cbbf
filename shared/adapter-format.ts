import { z } from 'zod';
import { label, MAX_LABELS } from './api/rows.ts';
import type { Family } from './families.ts';
import { MAX_LABELS_BYTES, MAX_WEFT_BYTES } from './label-limits.ts';
import { basePrecision, MAX_SEQUENCE_LENGTH, MIN_TEXT_TOKENS, pooling } from './peft-config.ts';

/** What HF PEFT reads, what AdapterHub does, and beside either what only Weft does. */
export const ADAPTER_CONFIG_FILE = 'adapter_config.json';
export const ADAPTER_WEIGHTS_FILE = 'adapter_model.safetensors';
export const HUB_WEIGHTS_FILE = 'adapter.safetensors';
export const HEAD_CONFIG_FILE = 'head_config.json';
export const HEAD_WEIGHTS_FILE = 'model_head.safetensors';
export const WEFT_FILE = 'weft.json';

export const BUNDLE_FILES = [
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  HUB_WEIGHTS_FILE,
  HEAD_CONFIG_FILE,
  HEAD_WEIGHTS_FILE,
  WEFT_FILE,
] as const;
export const bundleFile = z.enum(BUNDLE_FILES);
export type BundleFile = z.infer<typeof bundleFile>;

/** A set of files that an adapter consists of. */
export interface Layout {
  /** Whose it is, for people. */
  readonly title: string;
  readonly files: readonly BundleFile[];
  /** Which of them holds what a method trains, and which the head: the same one, or two. */
  readonly weights: BundleFile;
  readonly head: BundleFile;
}

export const LAYOUTS = {
  peft: {
    title: 'HF PEFT',
    files: [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, WEFT_FILE],
    weights: ADAPTER_WEIGHTS_FILE,
    head: ADAPTER_WEIGHTS_FILE,
  },
  adapterhub: {
    title: 'AdapterHub',
    files: [ADAPTER_CONFIG_FILE, HUB_WEIGHTS_FILE, HEAD_CONFIG_FILE, HEAD_WEIGHTS_FILE, WEFT_FILE],
    weights: HUB_WEIGHTS_FILE,
    head: HEAD_WEIGHTS_FILE,
  },
} as const satisfies Readonly<Record<string, Layout>>;
export type LayoutName = keyof typeof LAYOUTS;
export type LayoutFile<L extends LayoutName> = (typeof LAYOUTS)[L]['files'][number];
export const LAYOUT_NAMES = Object.keys(LAYOUTS) as LayoutName[];

/** The files of tensors, in the order in which they are read as one. */
export function weightsFilesOf(layout: LayoutName): BundleFile[] {
  const { weights, head } = LAYOUTS[layout];
  return [...new Set([weights, head])];
}

/** The one that holds a tensor, by the tensor's name in transformers' classification model. */
export function weightsFileOf(layout: LayoutName, { head }: Family, tensor: string): BundleFile {
  const ofHead = head.some((layer) => tensor.startsWith(`${layer}.`));
  return ofHead ? LAYOUTS[layout].head : LAYOUTS[layout].weights;
}

/** Those of settings, which HF PEFT or AdapterHub reads. */
export function configFilesOf(layout: LayoutName): BundleFile[] {
  const others: BundleFile[] = [...weightsFilesOf(layout), WEFT_FILE];
  return LAYOUTS[layout].files.filter((name) => !others.includes(name));
}

/** Files that hold tensors in some layout. */
export const WEIGHTS_FILES: ReadonlySet<BundleFile> = new Set(LAYOUT_NAMES.flatMap(weightsFilesOf));

/** The layout that consists of exactly these files. */
export function layoutOf(names: Iterable<string>): LayoutName | undefined {
  const given = new Set(names);
  return LAYOUT_NAMES.find((layout) => {
    const { files } = LAYOUTS[layout];
    return files.length === given.size && files.every((name) => given.has(name));
  });
}

/** Upper bounds on what anybody may hand in as an adapter, in bytes: of a file, and so of the largest layout's files together. */
export const MAX_FILE_BYTES: Readonly<Record<BundleFile, number>> = {
  [ADAPTER_CONFIG_FILE]: 256 * 1024,
  [ADAPTER_WEIGHTS_FILE]: 90 * 1024 * 1024,
  [HUB_WEIGHTS_FILE]: 78 * 1024 * 1024,
  [HEAD_CONFIG_FILE]: 2 * MAX_LABELS_BYTES,
  [HEAD_WEIGHTS_FILE]: 11.5 * 1024 * 1024,
  [WEFT_FILE]: MAX_WEFT_BYTES,
};
export const MAX_BUNDLE_BYTES = Math.max(
  ...Object.values(LAYOUTS).map(({ files }) => files.reduce((sum, name) => sum + MAX_FILE_BYTES[name], 0)),
);

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

/** An adapter's immutable set of files, in any order. */
export const bundleManifest = z
  .array(manifestEntry)
  .max(BUNDLE_FILES.length)
  .refine((entries) => layoutOf(entries.map(({ name }) => name)) !== undefined, {
    message: `must be the files of one layout: ${LAYOUT_NAMES.map((each) => LAYOUTS[each].files.join(', ')).join('; or ')}`,
  });
export type BundleManifest = z.infer<typeof bundleManifest>;

/**
 * The bytes whose SHA-256 is the bundle's id: one line `name bytes sha256` per file, by name. Equal files give an equal id on every
 * machine, so a node may keep a bundle under it for ever and check fetched files against it.
 */
export function canonicalManifest(manifest: BundleManifest): string {
  const byName = [...manifest].sort((a, b) => (a.name < b.name ? -1 : 1));
  return byName.map(({ name, bytes, sha256 }) => `${name} ${bytes} ${sha256}\n`).join('');
}

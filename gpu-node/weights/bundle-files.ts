import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  BUNDLE_FILES,
  type BundleFile,
  canonicalManifest,
  WEFT_FILE,
} from '../../shared/adapter-format.ts';

/** An adapter's three files, whole. */
export type BundleBytes = Readonly<Record<BundleFile, Uint8Array<ArrayBuffer>>>;

/** Reads the files of a folder. It blocks, so call it in a thread that nobody waits for. @throws if one is missing */
export function readBundleFiles(folder: string): BundleBytes {
  const read = (name: BundleFile) => readFileSync(join(folder, name));
  return {
    [ADAPTER_CONFIG_FILE]: read(ADAPTER_CONFIG_FILE),
    [ADAPTER_WEIGHTS_FILE]: read(ADAPTER_WEIGHTS_FILE),
    [WEFT_FILE]: read(WEFT_FILE),
  };
}

/** Bytes of the files. */
export function bundleSize(files: BundleBytes): number {
  return BUNDLE_FILES.reduce((sum, name) => sum + files[name].byteLength, 0);
}

/** A bundle's id from its bytes. Hashing 90 MB takes noticeable time (docs/operations.md, Sizes). */
export function bundleId(files: Readonly<Record<BundleFile, Uint8Array>>): string {
  const entries = BUNDLE_FILES.map((name) => {
    return { name, bytes: files[name].byteLength, sha256: sha256(files[name]) };
  });
  return sha256(canonicalManifest(entries));
}

function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BundleFile,
  canonicalManifest,
  LAYOUT_NAMES,
  LAYOUTS,
  type LayoutName,
  weightsFilesOf,
} from '../../shared/adapter-format.ts';

/** An adapter's files, whole: those of one layout. */
export type BundleBytes = Readonly<Partial<Record<BundleFile, Uint8Array<ArrayBuffer>>>>;

/** The files of the layout that a folder holds, which blocks: for a thread that nobody waits for. @throws where it holds none whole */
export function readBundleFiles(folder: string): BundleBytes {
  return Object.fromEntries(bundleFilesIn(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

/** Copies the files of the layout that a folder holds into another. @throws where it holds none whole */
export async function copyBundle(from: string, to: string): Promise<void> {
  await Promise.all(bundleFilesIn(from).map((name) => copyFile(join(from, name), join(to, name))));
}

function bundleFilesIn(folder: string): readonly BundleFile[] {
  const there = new Set<string>(readdirSync(folder));
  const layout = LAYOUT_NAMES.find((each) => LAYOUTS[each].files.every((name) => there.has(name)));
  if (!layout) throw new Error(`${folder} holds no adapter whole`);
  return LAYOUTS[layout].files;
}

/** The layout's files of tensors as one piece. */
export function joinWeights<A extends ArrayBufferLike>(
  files: Readonly<Partial<Record<BundleFile, Uint8Array<A>>>>,
  layout: LayoutName,
): Uint8Array<A | ArrayBuffer> {
  const [first, ...others] = weightsFilesOf(layout).map((name) => files[name]!);
  return others.length === 0 ? first! : new Uint8Array(Buffer.concat([first!, ...others]));
}

/** Bytes of the files. */
export function bundleSize(files: BundleBytes): number {
  return Object.values(files).reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** A bundle's id, from its bytes; 90 MB take a tenth of a second. */
export function bundleId(files: Readonly<Partial<Record<BundleFile, Uint8Array>>>): string {
  const entries = Object.entries(files).map(([name, bytes]) => ({
    name: name as BundleFile,
    bytes: bytes.byteLength,
    sha256: sha256(bytes),
  }));
  return sha256(canonicalManifest(entries));
}

function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { threadId } from 'node:worker_threads';
import { z } from 'zod';
import { ELEMENT_SIZE } from './builder.ts';
import type { DType } from './ir.ts';
import { elementCount } from './shapes.ts';

/**
 * Weights of a base model as one raw file, written once and mapped by every graph that uses it. Each tensor starts at a multiple of 4096
 * bytes, so that onnxruntime maps the pages instead of copying them. An index (`<file>.json`) holds the place of each tensor.
 */
export interface WeightFile {
  /** Path of the raw file. */
  readonly path: string;
  readonly tensors: Readonly<Record<string, StoredTensor>>;
}

/** A tensor's place in a weight file; `file` is the file's name inside its folder. */
export interface StoredTensor {
  readonly file: string;
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

/** A tensor to write: `data` holds the elements row-major, little-endian. */
export interface WeightSource {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Uint8Array | Float32Array | Int8Array | Int32Array;
}

const ALIGNMENT = 4096;

const indexSchema = z.object({
  size: z.int().nonnegative(),
  tensors: z.array(
    z.object({
      name: z.string().min(1),
      dtype: z.enum(['float32', 'float16', 'int64', 'int32', 'int8', 'uint8', 'bool']),
      shape: z.array(z.int().nonnegative()),
      offset: z.int().nonnegative(),
      length: z.int().nonnegative(),
    }),
  ),
});

/**
 * Writes the tensors one after another; an iterable lets a large model be written without holding it in memory. The file gets its name only
 * when complete, and replaces an older one.
 * @throws if a tensor's data is not as long as its shape says, or a name comes twice.
 */
export async function writeWeightFile(
  path: string,
  sources: Iterable<WeightSource> | AsyncIterable<WeightSource>,
): Promise<WeightFile> {
  const partial = `${path}.partial-${process.pid}-${threadId}`;
  const file = await open(partial, 'w');
  const tensors: StoredTensor[] = [];
  let end = 0;
  try {
    for await (const source of sources) {
      const bytes = bytesOf(source);
      const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
      await file.write(bytes, 0, bytes.length, offset);
      end = offset + bytes.length;
      const { name, dtype, shape } = source;
      tensors.push({ file: basename(path), name, dtype, shape, offset, length: bytes.length });
    }
    await file.truncate(end);
    await file.close();
  } catch (error) {
    await file.close();
    await rm(partial, { force: true });
    throw error;
  }
  const index = { size: end, tensors: tensors.map(({ file: _file, ...rest }) => rest) };
  await writeFile(`${partial}.json`, JSON.stringify(index));
  await rename(partial, path);
  await rename(`${partial}.json`, `${path}.json`);
  return { path, tensors: byName(path, tensors) };
}

/** Opens a weight file by its index. @throws if either is missing, or the file's length differs from the written one. */
export async function openWeightFile(path: string): Promise<WeightFile> {
  const index = indexSchema.parse(JSON.parse(await readFile(`${path}.json`, 'utf8')));
  const { size } = await stat(path);
  if (size !== index.size) throw new Error(`${path} has ${size} bytes, its index says ${index.size}`);
  return {
    path,
    tensors: byName(
      path,
      index.tensors.map((t) => ({ file: basename(path), ...t })),
    ),
  };
}

/** Transposes a `[rows, columns]` float32 matrix into `[columns, rows]`, for weights that are stored transposed. */
export function transposeMatrix(data: Float32Array, rows: number, columns: number): Float32Array {
  const transposed = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      transposed[column * rows + row] = data[row * columns + column]!;
    }
  }
  return transposed;
}

function bytesOf({ name, dtype, shape, data }: WeightSource): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const expected = elementCount(shape) * ELEMENT_SIZE[dtype];
  if (bytes.length !== expected) {
    throw new Error(
      `weight ${name} ${dtype}[${shape.join(', ')}] needs ${expected} bytes, got ${bytes.length}`,
    );
  }
  return bytes;
}

function byName(path: string, tensors: readonly StoredTensor[]): Record<string, StoredTensor> {
  const named: Record<string, StoredTensor> = Object.create(null);
  for (const tensor of tensors) {
    if (tensor.name in named) throw new Error(`${path} has two tensors named ${tensor.name}`);
    named[tensor.name] = tensor;
  }
  return named;
}

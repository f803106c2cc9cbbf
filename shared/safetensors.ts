import { z } from 'zod';
import { AppError, type ErrorCode } from './errors.ts';

/**
 * The safetensors format (https://github.com/huggingface/safetensors, README "Format"): 8 bytes of little-endian header length, that many
 * bytes of JSON, then the tensors' bytes. Every function here may get bytes from a stranger.
 */
export const BYTES_PER_ELEMENT = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;
export type Dtype = keyof typeof BYTES_PER_ELEMENT;

const PREFIX_BYTES = 8;
const MAX_DIMENSIONS = 8;
const SPACE = 0x20;

/** One tensor of a file; `begin` and `end` count bytes from the start of the file. */
export interface TensorEntry {
  name: string;
  dtype: Dtype;
  shape: readonly number[];
  begin: number;
  end: number;
}

/** The tensors of a header by name, in the order of their bytes, and its metadata. */
export interface SafetensorsHeader {
  tensors: ReadonlyMap<string, TensorEntry>;
  metadata: Readonly<Record<string, string>>;
}

export interface HeaderLimits {
  /** Name of the file in messages, e.g. `adapter spam@3: adapter_model.safetensors`. */
  file: string;
  /** Largest JSON header accepted, in bytes. */
  maxHeaderBytes: number;
  /** Error code for a bad file; `invalid_adapter` by default. */
  code?: ErrorCode;
  /** The field of a request that held the file. */
  param?: string;
}

/** Largest header of an adapter, in bytes: ten times that of an adapter on every linear layer of a 48-layer model. */
export const ADAPTER_HEADER_BYTES = 1024 * 1024;

const headerEntry = z.strictObject({
  dtype: z.enum(Object.keys(BYTES_PER_ELEMENT) as [Dtype, ...Dtype[]]),
  shape: z.array(z.int().nonnegative()).max(MAX_DIMENSIONS),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});
const headerMetadata = z.record(z.string(), z.string());

/** @throws {AppError} always: the fault of a file, with code and field from its limits */
export function refuseFile(
  { code = 'invalid_adapter', file, param }: HeaderLimits,
  what: string,
  cause?: unknown,
): never {
  throw new AppError(code, `${file}: ${what}`, { cause, ...(param !== undefined && { param }) });
}

/** A stranger's name made safe for a message: quoted, escaped, cut. */
function quoted(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}…` : name);
}

/** Number of JSON bytes after the first 8 of a file of `fileBytes` bytes. Throws where it exceeds the limit or the file. */
export function headerLength(prefix: Uint8Array, fileBytes: number, limits: HeaderLimits): number {
  if (prefix.byteLength < PREFIX_BYTES || fileBytes < PREFIX_BYTES) {
    refuseFile(
      limits,
      `a safetensors file begins with 8 bytes of header length, this one has ${fileBytes} bytes`,
    );
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES).getBigUint64(0, true);
  if (length > BigInt(limits.maxHeaderBytes)) {
    refuseFile(limits, `the header claims ${length} bytes, at most ${limits.maxHeaderBytes} are accepted`);
  }
  if (Number(length) > fileBytes - PREFIX_BYTES) {
    refuseFile(limits, `the header claims ${length} bytes, the file has ${fileBytes}: it is cut short`);
  }
  return Number(length);
}

function parseJson(bytes: Uint8Array, limits: HeaderLimits): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch (cause) {
    refuseFile(limits, 'the header is not JSON in UTF-8', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuseFile(limits, 'the header is not a JSON object');
  }
  return value as Record<string, unknown>;
}

function parseEntry(name: string, value: unknown, dataBegin: number, limits: HeaderLimits): TensorEntry {
  const parsed = headerEntry.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    refuseFile(limits, `tensor ${quoted(name)}: ${issue?.path.join('.') || 'entry'}: ${issue?.message}`);
  }
  const { dtype, shape, data_offsets } = parsed.data;
  const needed = shape.reduce((product, size) => product * size, BYTES_PER_ELEMENT[dtype]);
  const given = data_offsets[1] - data_offsets[0];
  if (needed !== given) {
    refuseFile(
      limits,
      `tensor ${quoted(name)} is ${dtype} [${shape}], ${needed} bytes, but its offsets hold ${given} bytes`,
    );
  }
  return { name, dtype, shape, begin: dataBegin + data_offsets[0], end: dataBegin + data_offsets[1] };
}

/** Checks that tensors fill the data exactly, as upstream's own reader does: nothing overlaps and nothing is hidden. */
function checkLayout(
  sorted: readonly TensorEntry[],
  dataBegin: number,
  fileBytes: number,
  limits: HeaderLimits,
) {
  let at = dataBegin;
  for (const { name, begin, end } of sorted) {
    if (end > fileBytes) {
      refuseFile(
        limits,
        `tensor ${quoted(name)} ends at byte ${end}, the file has ${fileBytes}: it is cut short`,
      );
    }
    if (begin !== at) {
      refuseFile(limits, `tensor ${quoted(name)} begins at byte ${begin}, the one before it ends at ${at}`);
    }
    at = end;
  }
  if (Number.isFinite(fileBytes) && at !== fileBytes) {
    refuseFile(limits, `the tensors end at byte ${at}, the file has ${fileBytes}`);
  }
}

/**
 * Parses a header. `head` holds at least the prefix and the JSON; a whole file will do. `fileBytes` is the file's size, or infinite while
 * the file still arrives: its end is then not checked.
 * If a name is given twice, the last counts, as in JSON; the other's bytes are then a hole, which is refused.
 */
export function parseHeader(head: Uint8Array, fileBytes: number, limits: HeaderLimits): SafetensorsHeader {
  const dataBegin = PREFIX_BYTES + headerLength(head, fileBytes, limits);
  if (head.byteLength < dataBegin)
    refuseFile(limits, `the header needs ${dataBegin} bytes, got ${head.byteLength}`);
  const json = parseJson(head.subarray(PREFIX_BYTES, dataBegin), limits);
  const metadata = headerMetadata.safeParse(json.__metadata__ ?? {});
  if (!metadata.success) refuseFile(limits, '__metadata__ must map strings to strings');
  const entries = Object.entries(json)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => parseEntry(name, value, dataBegin, limits))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkLayout(entries, dataBegin, fileBytes, limits);
  return { tensors: new Map(entries.map((entry) => [entry.name, entry])), metadata: metadata.data };
}

/** Converts an IEEE 754 half-precision number, given as bits, to single precision. */
function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

let floatOfHalf: Float32Array | undefined;

/** Every half-precision number, indexed by its bits. The table is made once, because files have tens of millions of them. */
function halves(): Float32Array {
  floatOfHalf ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => halfToFloat(half));
  return floatOfHalf;
}

function widenF16(bits: Uint16Array): Float32Array {
  const table = halves();
  const floats = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) floats[i] = table[bits[i]!]!;
  return floats;
}

function widenBf16(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i]! << 16;
  return new Float32Array(wide.buffer);
}

/** The dtypes that `toFloat32` takes. */
export const FLOAT_DTYPES: readonly Dtype[] = ['F32', 'F16', 'BF16'];

/**
 * A tensor's bytes as fp32, to be read only. Aligned F32 is returned without a copy; F16 and BF16 are widened, which is exact. Throws on
 * any other dtype.
 */
export function toFloat32(bytes: Uint8Array, entry: Pick<TensorEntry, 'name' | 'dtype'>): Float32Array {
  if (entry.dtype === 'F32' && bytes.byteOffset % Float32Array.BYTES_PER_ELEMENT === 0) {
    return new Float32Array(
      bytes.buffer,
      bytes.byteOffset,
      bytes.byteLength / Float32Array.BYTES_PER_ELEMENT,
    );
  }
  // This copies; slice() of a Node Buffer would share memory.
  const aligned = new Uint8Array(bytes);
  if (entry.dtype === 'F32') return new Float32Array(aligned.buffer);
  const bits = new Uint16Array(aligned.buffer, 0, aligned.byteLength >> 1);
  if (entry.dtype === 'F16') return widenF16(bits);
  if (entry.dtype === 'BF16') return widenBf16(bits);
  throw new AppError(
    'invalid_adapter',
    `tensor ${quoted(entry.name)} is ${entry.dtype}, only ${FLOAT_DTYPES.join(', ')} can be weights`,
  );
}

/** A tensor in memory, row-major. */
export interface Tensor {
  shape: readonly number[];
  data: Float32Array;
}

/** Reads every tensor of a file in memory, as fp32 arrays of their own. */
export function readTensors(file: Uint8Array, header: SafetensorsHeader): Map<string, Tensor> {
  const read = (entry: TensorEntry): Tensor => ({
    shape: entry.shape,
    data: toFloat32(file.subarray(entry.begin, entry.end), entry).slice(),
  });
  return new Map([...header.tensors.values()].map((entry) => [entry.name, read(entry)]));
}

/** Layout of a file of F32 tensors before their elements are known. */
export interface SafetensorsLayout {
  /** The file's first bytes: the header's length and the header. */
  head: Uint8Array<ArrayBuffer>;
  /** Names of the tensors, in the order in which their elements follow. */
  names: readonly string[];
  /** Bytes of the whole file. */
  bytes: number;
}

/**
 * Lays out a file of F32 tensors: sorted by name, header padded to 8 bytes, metadata `{"format":"pt"}` by default, as upstream's
 * `save_file` writes it.
 */
export function layOutSafetensors(
  tensors: ReadonlyMap<string, Pick<Tensor, 'shape'>>,
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): SafetensorsLayout {
  const sorted = [...tensors].sort(([a], [b]) => (a < b ? -1 : 1));
  const header = new Map<string, unknown>([['__metadata__', metadata]]);
  let end = 0;
  for (const [name, { shape }] of sorted) {
    const begin = end;
    end += shape.reduce((product, size) => product * size, BYTES_PER_ELEMENT.F32);
    header.set(name, { dtype: 'F32', shape, data_offsets: [begin, end] });
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const head = new Uint8Array(PREFIX_BYTES + Math.ceil(json.byteLength / 8) * 8).fill(SPACE);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.byteLength - PREFIX_BYTES), true);
  head.set(json, PREFIX_BYTES);
  return { head, names: sorted.map(([name]) => name), bytes: head.byteLength + end };
}

/** Writes a safetensors file of F32 tensors in the layout above. Equal tensors give equal bytes. */
export function writeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const { head, names, bytes } = layOutSafetensors(tensors, metadata);
  const file = new Uint8Array(bytes);
  file.set(head);
  let at = head.byteLength;
  for (const name of names) {
    const { shape, data } = tensors.get(name)!;
    if (shape.reduce((product, size) => product * size, 1) !== data.length) {
      throw new RangeError(`tensor ${name} of shape [${shape}] holds ${data.length} values`);
    }
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

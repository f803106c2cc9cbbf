import { fail, shown } from './methods/refusal.ts';
import {
  BYTES_PER_ELEMENT,
  FLOAT_DTYPES,
  type HeaderLimits,
  headerLength,
  parseHeader,
  refuseFile,
  type SafetensorsHeader,
  type TensorEntry,
  toFloat32,
} from './safetensors.ts';

const PREFIX_BYTES = 8;

/** The result of scanning a file of weights. */
export interface ScannedWeights {
  header: SafetensorsHeader;
  /** Length of the file. */
  bytes: number;
  /** The Euclidean norm of each tensor's elements, by its name; of float tensors that have any. */
  norms: ReadonlyMap<string, number>;
}

/**
 * Reads a safetensors file as it arrives, in pieces of any size, keeping only the header and one number per tensor. Every value must be
 * finite: one NaN would make every score NaN, which JSON cannot express.
 */
export class WeightsScan {
  readonly #limits: HeaderLimits;
  /** The file's beginning, until the header is complete. */
  #head: Uint8Array[] = [];
  #headBytes = 0;
  #headNeeded = PREFIX_BYTES;
  /** Bytes of the file so far. */
  #bytes = 0;
  #entries: readonly TensorEntry[] | undefined;
  /** The tensor of the next byte, that byte's offset in the file, and the sum of the tensor's squares so far. */
  #index = 0;
  #at = 0;
  #squares = 0;
  /** The first bytes of an element that has not arrived completely. */
  #begun = new Uint8Array(0);
  readonly #norms = new Map<string, number>();

  constructor(limits: HeaderLimits) {
    this.#limits = limits;
  }

  /**
   * Takes the next bytes of the file.
   * @throws {AppError} the limits' code, naming the header's fault, or the tensor and the element that is not finite
   */
  add(bytes: Uint8Array): void {
    this.#bytes += bytes.byteLength;
    const values = this.#entries ? bytes : this.#readHead(bytes);
    if (this.#entries) this.#readValues(values, this.#entries);
  }

  /** Ends the file. @throws {AppError} where its length differs from what its header says, or it has no header */
  finish(): ScannedWeights {
    const header = parseHeader(joined(this.#head), this.#bytes, this.#limits);
    return { header, bytes: this.#bytes, norms: this.#norms };
  }

  /** Takes header bytes, and returns the bytes behind the header. */
  #readHead(bytes: Uint8Array): Uint8Array {
    let rest = bytes;
    while (rest.byteLength > 0) {
      // The bytes are copied, because the caller may use its buffer again.
      const piece = rest.slice(0, this.#headNeeded - this.#headBytes);
      this.#head.push(piece);
      this.#headBytes += piece.byteLength;
      rest = rest.subarray(piece.byteLength);
      if (this.#headBytes < this.#headNeeded) break;
      const head = joined(this.#head);
      this.#head = [head];
      this.#headNeeded = PREFIX_BYTES + headerLength(head, Number.POSITIVE_INFINITY, this.#limits);
      if (this.#headBytes < this.#headNeeded) continue;
      const { tensors } = parseHeader(head, Number.POSITIVE_INFINITY, this.#limits);
      this.#entries = [...tensors.values()];
      this.#at = this.#headNeeded;
      break;
    }
    return rest;
  }

  #readValues(bytes: Uint8Array, entries: readonly TensorEntry[]): void {
    let rest = bytes;
    for (let entry = entries[this.#index]; entry && rest.byteLength > 0; entry = entries[this.#index]) {
      const piece = rest.subarray(0, entry.end - this.#at);
      rest = rest.subarray(piece.byteLength);
      if (FLOAT_DTYPES.includes(entry.dtype)) this.#readFloats(piece, entry);
      this.#at += piece.byteLength;
      if (this.#at < entry.end) return;
      this.#norms.set(entry.name, Math.sqrt(this.#squares));
      this.#squares = 0;
      this.#index += 1;
    }
  }

  #readFloats(piece: Uint8Array, entry: TensorEntry): void {
    const size = BYTES_PER_ELEMENT[entry.dtype];
    const before = this.#begun.byteLength;
    const bytes = before > 0 ? joined([this.#begun, piece]) : piece;
    const whole = bytes.byteLength - (bytes.byteLength % size);
    const values = toFloat32(bytes.subarray(0, whole), entry);
    let squares = 0;
    for (let i = 0; i < values.length; i++) squares += values[i]! * values[i]!;
    // Sums of finite floats' squares are finite in double precision, however many a file holds.
    if (!Number.isFinite(squares)) {
      const first = (this.#at - before - entry.begin) / size;
      this.#refuse(values, entry, first);
    }
    this.#squares += squares;
    this.#begun = bytes.slice(whole);
  }

  #refuse(values: Float32Array, { name, shape }: TensorEntry, first: number): never {
    const at = values.findIndex((value) => !Number.isFinite(value));
    const what = `${name.slice(0, 120)} [${shape}] holds ${values[at]} at element ${first + at}`;
    return refuseFile(this.#limits, what);
  }
}

/** Scans a file that is in memory whole. @throws {AppError} as `WeightsScan` does */
export function scanWeights(file: Uint8Array, limits: HeaderLimits): ScannedWeights {
  const scan = new WeightsScan(limits);
  scan.add(file);
  return scan.finish();
}

/**
 * What was found of files that are read as one, in this order: offsets count from the start of the first.
 * @throws {AppError} `invalid_adapter` where two hold a tensor of one name
 */
export function joinScans(scans: readonly ScannedWeights[], what: string): ScannedWeights {
  const [only] = scans;
  if (only && scans.length === 1) return only;
  const tensors = new Map<string, TensorEntry>();
  const norms = new Map<string, number>();
  let bytes = 0;
  for (const scan of scans) {
    for (const [name, entry] of scan.header.tensors) {
      if (tensors.has(name)) fail(what, `tensor ${shown(name)} is in two files`);
      tensors.set(name, { ...entry, begin: entry.begin + bytes, end: entry.end + bytes });
    }
    for (const [name, norm] of scan.norms) norms.set(name, norm);
    bytes += scan.bytes;
  }
  return { header: { tensors, metadata: {} }, bytes, norms };
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  const whole = new Uint8Array(pieces.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}

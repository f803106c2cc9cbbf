import { NF4_BLOCK } from '../ops/index.ts';

/**
 * NF4, the 4-bit type of QLoRA (Dettmers et al. 2023, arXiv:2305.14314), bit for bit as bitsandbytes 0.50.2 computes it
 * (`bitsandbytes/backends/default/ops.py` and `functional.py`): all arithmetic is in float32, and a value half way between two codes goes
 * to the lower one.
 */
export const NF4_CODE = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
);
/** The code of 0, which also fills the last byte of an odd number of elements. */
const ZERO = NF4_CODE.indexOf(0);

/** Number of blocks' scales that share one scale of their own. */
const ABSMAX_BLOCK = 256;
/** Smallest divisor: a block of zeros has the scale 0. */
const SMALLEST = Math.fround(1e-38);

/** Packed codes of a matrix and its blocks' largest magnitudes; see `Nf4Matrix`. */
export interface Nf4Elements {
  readonly codes: Uint8Array;
  readonly absmax: Float32Array;
}

/** Quantizes a matrix's elements, row by row, in blocks of 64. */
export function quantizeNf4(elements: Float32Array): Nf4Elements {
  const absmax = blockMaxima(elements, NF4_BLOCK);
  const codes = new Uint8Array(Math.ceil(elements.length / 2));
  for (let block = 0; block < absmax.length; block++) {
    const inverse = inverseOf(absmax[block]!);
    const end = Math.min((block + 1) * NF4_BLOCK, elements.length);
    for (let i = block * NF4_BLOCK; i < end; i += 2) {
      const first = nearestNf4(Math.fround(elements[i]! * inverse));
      const second = i + 1 < end ? nearestNf4(Math.fround(elements[i + 1]! * inverse)) : ZERO;
      codes[i >> 1] = (first << 4) | second;
    }
  }
  return { codes, absmax };
}

/** The scales of blocks in quantized form: `offset` is their mean, and the rest has 8 bits and a scale for every 256. */
export interface QuantizedAbsmax {
  readonly codes: Uint8Array;
  readonly absmax: Float32Array;
  readonly offset: number;
}

/**
 * Quantizes the scales (double quantization). The mean is the nearest float32 to the exact one; bitsandbytes sums in float32, and the last
 * digit then depends on the device.
 */
export function quantizeAbsmax(scales: Float32Array): QuantizedAbsmax {
  const offset = Math.fround(scales.reduce((sum, scale) => sum + scale, 0) / scales.length);
  const centered = scales.map((scale) => scale - offset);
  const absmax = blockMaxima(centered, ABSMAX_BLOCK);
  const codes = new Uint8Array(scales.length);
  for (let i = 0; i < codes.length; i++) {
    const inverse = inverseOf(absmax[Math.floor(i / ABSMAX_BLOCK)]!);
    codes[i] = nearestDynamic(Math.fround(centered[i]! * inverse));
  }
  return { codes, absmax, offset };
}

/** The scales as they are after double quantization. */
export function dequantizeAbsmax({ codes, absmax, offset }: QuantizedAbsmax): Float32Array {
  const scales = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) {
    scales[i] = Math.fround(DYNAMIC_CODE[codes[i]!]! * absmax[Math.floor(i / ABSMAX_BLOCK)]!) + offset;
  }
  return scales;
}

function blockMaxima(elements: Float32Array, size: number): Float32Array {
  const maxima = new Float32Array(Math.ceil(elements.length / size));
  for (let block = 0; block < maxima.length; block++) {
    const end = Math.min((block + 1) * size, elements.length);
    let max = 0;
    for (let i = block * size; i < end; i++) max = Math.max(max, Math.abs(elements[i]!));
    maxima[block] = max;
  }
  return maxima;
}

function inverseOf(max: number): number {
  return Math.fround(1 / Math.max(max, SMALLEST));
}

/** The midpoints between neighbours of a sorted code. */
function midpoints(code: Float32Array): Float32Array {
  return Float32Array.from({ length: code.length - 1 }, (_, i) => Math.fround(code[i]! + code[i + 1]!) / 2);
}

/** Cells of the numbers from -1 to 1. Each is so narrow that it holds at most one midpoint: one comparison finds the code. */
const CELLS = 32;
const cellOf = (x: number) => ((x + 1) * (CELLS / 2)) | 0;
const midpointIn = new Float32Array(CELLS + 1).fill(Number.POSITIVE_INFINITY);
for (const midpoint of midpoints(NF4_CODE)) midpointIn[cellOf(midpoint)] = midpoint;
const codesBelow = Uint8Array.from(
  midpointIn,
  (_, cell) => midpoints(NF4_CODE).filter((midpoint) => cellOf(midpoint) < cell).length,
);

function nearestNf4(x: number): number {
  const cell = cellOf(x);
  return codesBelow[cell]! + (x > midpointIn[cell]! ? 1 : 0);
}

/**
 * The signed 8-bit dynamic code of Dettmers 2015 (arXiv:1511.04561), `create_dynamic_map` in bitsandbytes. It has seven decades, each with
 * twice as many steps as the one below, and then 0 and 1.
 */
export const DYNAMIC_CODE: Float32Array = dynamicCode();
const dynamicMidpoints = midpoints(DYNAMIC_CODE);

function dynamicCode(): Float32Array {
  const positive = Array.from({ length: 7 }, (_, decade) => {
    const scale = Math.fround(10 ** (decade - 6));
    return [...midpoints(decadeBounds(2 ** decade))].map((mean) => scale * mean);
  }).flat();
  return Float32Array.from([...positive, ...positive.map((x) => -x), 0, 1]).sort();
}

/** Bounds of equal steps from 0.1 to 1, in float32 and from both ends to the middle, like torch's `linspace`. */
function decadeBounds(steps: number): Float32Array {
  const start = Math.fround(0.1);
  const step = Math.fround(Math.fround(1 - start) / steps);
  const half = (steps + 1) >> 1;
  return Float32Array.from({ length: steps + 1 }, (_, i) =>
    i < half ? start + step * i : 1 - step * (steps - i),
  );
}

/** Finds by bisection the number of midpoints below x. */
function nearestDynamic(x: number): number {
  let low = 0;
  let high = dynamicMidpoints.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (dynamicMidpoints[middle]! < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

import { describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import type { Dtype } from '../../../shared/safetensors.ts';
import { scanWeights, WeightsScan } from '../../../shared/weights-scan.ts';

const LIMITS = { file: 'adapter spam@3: adapter_model.safetensors', maxHeaderBytes: 4096 };

/** The bits of numbers that are finite, and of some that are not, with what they are called. */
const BITS: Record<'F32' | 'F16' | 'BF16', { bytes: 2 | 4; largest: number; not: [number, string][] }> = {
  F32: {
    bytes: 4,
    largest: 0x7f7fffff,
    not: [
      [0x7f800000, 'Infinity'],
      [0xff800000, '-Infinity'],
      [0x7fc00000, 'NaN'],
      [0x7f800001, 'NaN'],
      [0xffffffff, 'NaN'],
    ],
  },
  F16: {
    bytes: 2,
    largest: 0x7bff,
    not: [
      [0x7c00, 'Infinity'],
      [0xfc00, '-Infinity'],
      [0x7e00, 'NaN'],
      [0x7c01, 'NaN'],
    ],
  },
  BF16: {
    bytes: 2,
    largest: 0x7f7f,
    not: [
      [0x7f80, 'Infinity'],
      [0xff80, '-Infinity'],
      [0x7fc0, 'NaN'],
      [0x7f81, 'NaN'],
    ],
  },
};
const DTYPES = Object.keys(BITS) as (keyof typeof BITS)[];

interface Part {
  name: string;
  dtype: Dtype;
  bits: readonly number[];
  bytes: 1 | 2 | 4;
}

/** A safetensors file of these elements, given by their bits. */
function fileOf(parts: readonly Part[]): Uint8Array {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const { name, dtype, bits, bytes } of parts) {
    header[name] = { dtype, shape: [bits.length], data_offsets: [end, end + bits.length * bytes] };
    end += bits.length * bytes;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const file = new Uint8Array(8 + json.byteLength + end);
  const view = new DataView(file.buffer);
  view.setBigUint64(0, BigInt(json.byteLength), true);
  file.set(json, 8);
  let at = 8 + json.byteLength;
  for (const { bits, bytes } of parts) {
    for (const each of bits) {
      if (bytes === 4) view.setUint32(at, each, true);
      else if (bytes === 2) view.setUint16(at, each, true);
      else view.setUint8(at, each);
      at += bytes;
    }
  }
  return file;
}

const floats = (name: string, dtype: keyof typeof BITS, bits: readonly number[]): Part => {
  return { name, dtype, bits, bytes: BITS[dtype].bytes };
};

/** The same file in pieces of random lengths. */
function scanInPieces(file: Uint8Array, seed: number, most: number) {
  const random = new Random(seed, 'pieces');
  const scan = new WeightsScan(LIMITS);
  // One buffer, as a caller may use it.
  const buffer = new Uint8Array(most);
  for (let at = 0; at < file.byteLength; ) {
    const piece = file.subarray(at, at + 1 + random.below(most));
    buffer.set(piece);
    scan.add(buffer.subarray(0, piece.byteLength));
    at += piece.byteLength;
  }
  return scan.finish();
}

describe('a scan of weights', () => {
  it.each(DTYPES)(
    'names the tensor and the element of %s that is no finite number, whatever pieces come',
    (dtype) => {
      const { not, bytes } = BITS[dtype];
      for (const [bits, called] of not) {
        for (const at of [0, 3, 8]) {
          const bad = Array.from({ length: 9 }, (_, i) => (i === at ? bits : 1));
          const parts = [
            { name: 'odd', dtype: 'U8' as const, bits: [255, 255, 255], bytes: 1 as const },
            floats('first', dtype, [1, 2, 3]),
            floats('second', dtype, bad),
          ];
          const message = `${LIMITS.file}: second [9] holds ${called} at element ${at}`;
          const file = fileOf(parts);
          expect(() => scanWeights(file, LIMITS)).toThrow(message);
          for (const most of [1, bytes + 1, 40]) expect(() => scanInPieces(file, at, most)).toThrow(message);
        }
      }
    },
  );

  it.each(DTYPES)('takes the largest of %s, and says the norm', (dtype) => {
    const { largest } = BITS[dtype];
    const file = fileOf([floats('w', dtype, new Array(1000).fill(largest))]);
    const norm = scanWeights(file, LIMITS).norms.get('w')!;
    const value = { F32: 3.4028234663852886e38, F16: 65504, BF16: 3.3895313892515355e38 }[dtype];
    expect(norm / (value * Math.sqrt(1000))).toBeCloseTo(1, 12);
  });

  it('finds the same in pieces as in the whole', () => {
    const random = new Random(1, 'bits');
    const parts = DTYPES.flatMap((dtype, i) =>
      [0, 1, 7, 300].map((length) =>
        floats(
          `w${i}.${length}`,
          dtype,
          Array.from({ length }, () => random.below(BITS[dtype].largest)),
        ),
      ),
    );
    const file = fileOf([{ name: 'odd', dtype: 'U8', bits: [9], bytes: 1 }, ...parts]);
    const { header, norms } = scanWeights(file, LIMITS);
    expect(header.tensors.size).toBe(13);
    expect(norms.size).toBe(13);
    for (const most of [1, 5, 64, 5000]) {
      const found = scanInPieces(file, most, most);
      expect([...found.header.tensors]).toEqual([...header.tensors]);
      for (const [name, norm] of norms)
        expect(found.norms.get(name)! / (norm || 1)).toBeCloseTo(norm && 1, 12);
    }
  });

  it('refuses a file that ends early or goes on, and a header that is none, as soon as it can tell', () => {
    const file = fileOf([floats('w', 'F32', [1, 2, 3])]);
    expect(() => scanInPieces(file.subarray(0, -1), 2, 5)).toThrow('it is cut short');
    expect(() => scanInPieces(new Uint8Array([...file, 0]), 2, 5)).toThrow('the tensors end at byte');
    expect(() => scanWeights(new Uint8Array(0), LIMITS)).toThrow('this one has 0 bytes');
    const claims = new WeightsScan(LIMITS);
    expect(() => claims.add(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0))).toThrow('the header claims');
    const broken = file.slice();
    broken[8] = 0x5b;
    expect(() => new WeightsScan(LIMITS).add(broken)).toThrow('not JSON');
  });
});

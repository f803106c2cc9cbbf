import { describe, expect, it } from 'vitest';
import {
  headerLength,
  parseHeader,
  readTensors,
  toFloat32,
  writeSafetensors,
} from '../../../shared/safetensors.ts';

const limits = { file: 'adapter spam@3: adapter_model.safetensors', maxHeaderBytes: 1024 * 1024 };

/** A file with this JSON as its header and `dataBytes` zero bytes after it. */
function crafted(json: string | Uint8Array, dataBytes = 0, claimed?: bigint): Uint8Array {
  const header = typeof json === 'string' ? new TextEncoder().encode(json) : json;
  const file = new Uint8Array(8 + header.byteLength + dataBytes);
  new DataView(file.buffer).setBigUint64(0, claimed ?? BigInt(header.byteLength), true);
  file.set(header, 8);
  return file;
}

const parse = (file: Uint8Array) => parseHeader(file, file.byteLength, limits);
const tensor = (dtype: string, shape: unknown, begin: unknown, end: unknown) =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] });

describe('a safetensors file that Weft writes', () => {
  const tensors = new Map([
    ['b', { shape: [3], data: Float32Array.of(1, -2, 3.5) }],
    ['a', { shape: [2, 2], data: Float32Array.of(0.1, 0.2, 0.3, 0.4) }],
  ]);

  it('reads back equal', () => {
    const file = writeSafetensors(tensors);
    expect(readTensors(file, parse(file))).toEqual(tensors);
  });

  it('has the bytes that upstream writes: names sorted, data aligned to 8', () => {
    const file = writeSafetensors(tensors);
    const header = parse(file);
    expect([...header.tensors.keys()]).toEqual(['a', 'b']);
    expect(header.metadata).toEqual({ format: 'pt' });
    expect(header.tensors.get('a')!.begin % 8).toBe(0);
    expect(writeSafetensors(new Map([...tensors].reverse()))).toEqual(file);
  });

  it('counts bytes, not characters, of a name outside ASCII', () => {
    const file = writeSafetensors(new Map([['größe✓', { shape: [1], data: Float32Array.of(7) }]]));
    expect(readTensors(file, parse(file)).get('größe✓')?.data).toEqual(Float32Array.of(7));
  });

  it('is refused where a shape does not fit its values', () => {
    expect(() => writeSafetensors(new Map([['a', { shape: [3], data: Float32Array.of(1) }]]))).toThrow('[3]');
  });
});

describe('half precision', () => {
  const widen = (dtype: 'F16' | 'BF16' | 'I64', halves: number[]) => [
    ...toFloat32(new Uint8Array(Uint16Array.from(halves).buffer), { name: 'w', dtype }),
  ];

  it('F16 widens exactly, subnormals and infinities too', () => {
    expect(widen('F16', [0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0xfc00, 0x8000])).toEqual([
      1,
      -2,
      2 ** -24,
      65504,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      -0,
    ]);
    expect(widen('F16', [0x7e00])).toEqual([Number.NaN]);
  });

  it('BF16 widens exactly', () => {
    expect(widen('BF16', [0x3f80, 0xc000, 0x3e80])).toEqual([1, -2, 0.25]);
  });

  it('integers are no weights', () => {
    expect(() => widen('I64', [0, 0, 0, 0])).toThrow('tensor "w" is I64, only F32, F16, BF16 can be weights');
  });
});

describe('a crafted file', () => {
  const f32 = tensor('F32', [2], 0, 8);
  const cases: [string, Uint8Array, RegExp][] = [
    ['shorter than the prefix', new Uint8Array(5), /begins with 8 bytes/],
    [
      'a huge header length',
      crafted('{}', 0, 2n ** 63n),
      /claims 9223372036854775808 bytes, at most 1048576/,
    ],
    ['a header past the end', crafted('{}', 0, 1000n), /claims 1000 bytes, the file has 10: it is cut short/],
    ['no JSON', crafted('{"a":'), /not JSON in UTF-8/],
    ['NaN in the JSON', crafted('{"a":NaN}'), /not JSON in UTF-8/],
    ['invalid UTF-8', crafted(Uint8Array.of(0x7b, 0xff, 0x7d)), /not JSON in UTF-8/],
    ['an array', crafted('[]'), /not a JSON object/],
    ['null', crafted('null'), /not a JSON object/],
    ['an entry that is a number', crafted('{"a":1}'), /tensor "a": entry/],
    ['an unknown dtype', crafted(`{"a":${tensor('F4', [2], 0, 8)}}`, 8), /tensor "a": dtype/],
    ['a negative size', crafted(`{"a":${tensor('F32', [-2], 0, 8)}}`, 8), /tensor "a": shape\.0/],
    ['a fraction', crafted(`{"a":${tensor('F32', [1.5], 0, 6)}}`, 6), /tensor "a": shape\.0/],
    ['nine dimensions', crafted(`{"a":${tensor('F32', Array(9).fill(1), 0, 4)}}`, 4), /tensor "a": shape/],
    ['negative offsets', crafted(`{"a":${tensor('F32', [2], -8, 0)}}`, 8), /tensor "a": data_offsets\.0/],
    [
      'a size that overflows',
      crafted(`{"a":${tensor('F32', [2 ** 52, 2 ** 52, 2 ** 52], 0, 8)}}`, 8),
      /but its offsets hold 8 bytes/,
    ],
    [
      'fewer bytes than the shape',
      crafted(`{"a":${tensor('F32', [3], 0, 8)}}`, 8),
      /is F32 \[3\], 12 bytes, but its offsets hold 8/,
    ],
    [
      'a tensor past the end',
      crafted(`{"a":${f32}}`, 4),
      /ends at byte \d+, the file has \d+: it is cut short/,
    ],
    ['overlap', crafted(`{"a":${f32},"b":${tensor('F32', [2], 4, 12)}}`, 12), /"b" begins at byte/],
    ['a hole', crafted(`{"a":${f32},"b":${tensor('F32', [1], 12, 16)}}`, 16), /"b" begins at byte/],
    ['bytes that no tensor owns', crafted(`{"a":${f32}}`, 16), /the tensors end at byte/],
    ['a name twice', crafted(`{"a":${f32},"a":${tensor('F32', [1], 8, 12)}}`, 12), /"a" begins at byte/],
    ['metadata of numbers', crafted('{"__metadata__":{"format":1}}'), /__metadata__ must map/],
    ['an unknown key', crafted('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"x":1}}'), /tensor "a"/],
  ];
  it.each(cases)('with %s is refused', (_what, file, message) => {
    expect(() => parse(file)).toThrow(message);
    expect(() => parse(file)).toThrow(expect.objectContaining({ code: 'invalid_adapter' }));
  });

  it('leaves prototypes alone', () => {
    const header = parse(
      crafted(
        `{"__proto__":${f32},"constructor":${tensor('F32', [1], 8, 12)},"__metadata__":{"__proto__":"x"}}`,
        12,
      ),
    );
    expect([...header.tensors.keys()]).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>).dtype).toBeUndefined();
  });

  it('cannot put its own lines into a message', () => {
    const name = `x\n${'y'.repeat(500)}`;
    const file = crafted(`{${JSON.stringify(name)}:1}`);
    expect(() => parse(file)).toThrow(/^adapter spam@3: adapter_model\.safetensors: tensor "x\\ny{118}…"/);
  });

  it('is not read beyond the header that was handed over', () => {
    const file = crafted(`{"a":${f32}}`, 8);
    expect(headerLength(file.subarray(0, 8), file.byteLength, limits)).toBe(file.byteLength - 16);
    expect(parseHeader(file.subarray(0, file.byteLength - 8), file.byteLength, limits).tensors.size).toBe(1);
    expect(() => parseHeader(file.subarray(0, 20), file.byteLength, limits)).toThrow('the header needs');
  });

  it('of a base model says so by its own code', () => {
    const base = {
      file: 'base model tiny: model.safetensors',
      maxHeaderBytes: 10,
      code: 'internal_error',
    } as const;
    expect(() => parseHeader(crafted('{"a":'), 13, base)).toThrow(
      expect.objectContaining({ code: 'internal_error' }),
    );
  });
});

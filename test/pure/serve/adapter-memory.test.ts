import { expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import {
  AdapterMemory,
  BLOCK_BYTES,
  bytesTaken,
  type StoredBytes,
  StoredBytesReader,
} from '../../../gpu-node/serve/adapter-memory.ts';

const filled = (length: number, byte: number) => new Uint8Array(length).fill(byte);

it('gives back the bytes it keeps, whole and in part, across blocks', () => {
  const memory = new AdapterMemory(8 * BLOCK_BYTES);
  const bytes = Uint8Array.from({ length: 3 * BLOCK_BYTES + 5 }, (_, i) => i % 251);
  const stored = memory.store(bytes)!;
  const reader = new StoredBytesReader(memory.buffer);
  expect(reader.read(stored)).toEqual(bytes);
  for (const [begin, end] of [
    [7, 9],
    [BLOCK_BYTES - 1, BLOCK_BYTES + 1],
    [BLOCK_BYTES, 3 * BLOCK_BYTES + 5],
    [4, 4],
  ] as const) {
    expect(reader.read(stored, begin, end)).toEqual(bytes.subarray(begin, end));
  }
});

it('reads nothing beyond what is stored', () => {
  const memory = new AdapterMemory(2 * BLOCK_BYTES);
  const stored = memory.store(filled(10, 1))!;
  const reader = new StoredBytesReader(memory.buffer);
  expect(() => reader.read(stored, 0, 11)).toThrow('bytes 0 to 11 of 10');
  expect(() => reader.read(stored, -1, 4)).toThrow('bytes -1 to 4 of 10');
});

it('starts every range at an address of its own, so that floats can be read in place', () => {
  const memory = new AdapterMemory(2 * BLOCK_BYTES);
  const stored = memory.store(filled(100, 1))!;
  expect(new StoredBytesReader(memory.buffer).read(stored, 3, 11).byteOffset).toBe(0);
});

it('takes whole blocks, and nothing once too few are free', () => {
  const memory = new AdapterMemory(4 * BLOCK_BYTES + 100);
  expect(memory.maxBytes).toBe(4 * BLOCK_BYTES);
  const stored = memory.store(filled(BLOCK_BYTES + 1, 1))!;
  expect(bytesTaken(stored)).toBe(2 * BLOCK_BYTES);
  expect(memory.store(filled(2 * BLOCK_BYTES + 1, 2))).toBeUndefined();
  expect(memory.store(filled(2 * BLOCK_BYTES, 2))).toBeDefined();
  expect(memory.store(filled(1, 3))).toBeUndefined();
  memory.free(stored);
  expect(memory.store(filled(1, 3))).toBeDefined();
});

it('says how much there is no room for', () => {
  expect(() => new AdapterMemory(2 ** 52)).toThrow('no room for 4503599627370496 bytes of adapters');
});

it('keeps adapters apart however they come and go', () => {
  const random = new Random(1, 'sizes');
  const memory = new AdapterMemory(64 * BLOCK_BYTES);
  const reader = new StoredBytesReader(memory.buffer);
  const kept: { stored: StoredBytes; byte: number }[] = [];
  for (let byte = 1; byte < 200; byte++) {
    const bytes = filled(1 + random.below(6 * BLOCK_BYTES), byte);
    for (let stored = memory.store(bytes); ; stored = memory.store(bytes)) {
      if (stored) kept.push({ stored, byte });
      if (stored) break;
      memory.free(kept.splice(random.below(kept.length), 1)[0]!.stored);
    }
    for (const { stored, byte } of kept) {
      expect(Buffer.compare(reader.read(stored), filled(stored.byteLength, byte))).toBe(0);
    }
  }
});

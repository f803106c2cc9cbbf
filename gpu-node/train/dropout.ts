import type { Dim } from '../graph/ir.ts';
import { elementCount } from '../graph/shapes.ts';
import type { Random } from '../random.ts';
import { type Feeds, tensor } from '../runtime/session.ts';
import type { DropoutMask } from './graph.ts';

/** Steps of a probability: masks are made of bytes. */
const LEVELS = 256;

/** The probability with which the masks keep an element: 1 - dropout, rounded to a 256th. */
export function keepProbability(dropout: number): number {
  return Math.max(1, Math.round((1 - dropout) * LEVELS)) / LEVELS;
}

/**
 * Draws dropout masks, millions of elements per step: one look-up turns two random bytes into two mask bytes. The buffers are reused, so a
 * draw invalidates the one before.
 */
export class DropoutMasks {
  readonly #masks: readonly DropoutMask[];
  readonly #table: Uint16Array;
  readonly #buffers = new Map<string, Uint32Array>();

  constructor(masks: readonly DropoutMask[], keep: number) {
    this.#masks = masks;
    this.#table = pairTable(keep * LEVELS);
  }

  /** Feeds for a batch of `rows` texts of `length` tokens. */
  draw(rows: number, length: number, random: Random): Feeds {
    const sizes: Readonly<Record<Dim, number>> = { batch: rows, seq: length };
    const feeds = this.#masks.map(({ name, shape: dims }) => {
      const shape = dims.map((dim) => (typeof dim === 'number' ? dim : sizes[dim]!));
      const size = elementCount(shape);
      return [name, tensor('bool', shape, this.#fill(name, size, random))] as const;
    });
    return Object.fromEntries(feeds);
  }

  #fill(name: string, size: number, random: Random): Uint8Array {
    const words = Math.ceil(size / 4);
    let buffer = this.#buffers.get(name);
    if (!buffer || buffer.length < words) {
      buffer = new Uint32Array(words);
      this.#buffers.set(name, buffer);
    }
    const table = this.#table;
    for (let i = 0; i < words; i++) {
      const bytes = random.uint32();
      buffer[i] = table[bytes & 0xffff]! | (table[bytes >>> 16]! << 16);
    }
    return new Uint8Array(buffer.buffer, 0, size);
  }
}

/** A table from each pair of random bytes to a pair of mask bytes: 1 if a byte is below `kept`. */
function pairTable(kept: number): Uint16Array {
  const bit = (byte: number) => (byte < kept ? 1 : 0);
  return Uint16Array.from({ length: 65_536 }, (_, pair) => bit(pair & 0xff) | (bit(pair >> 8) << 8));
}

import type { Choices } from '../choices.ts';

/** Bytes that parsers treat specially. */
const TELLING = [0x00, 0xff, 0x0a, 0x0d, 0x22, 0x2c, 0x3a, 0x5b, 0x7b, 0x7d, 0x5c, 0x80, 0xc0, 0xed, 0xf5];
const MAX_INSERTED = 64;

/**
 * Corrupts bytes as a client, a disk or an attacker might: overwritten, left out, repeated, inserted or cut short. Mostly they stay as they
 * are.
 */
export function corrupted(bytes: Uint8Array, choices: Choices): Uint8Array {
  let result = bytes;
  while (choices.fault(4)) result = changed(result, choices);
  return result;
}

function changed(bytes: Uint8Array, choices: Choices): Uint8Array {
  const at = choices.below(bytes.byteLength + 1);
  const length = choices.below(Math.min(MAX_INSERTED, bytes.byteLength - at) + 1);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (choices.below(6)) {
    case 0:
      return joined(before);
    case 1:
      return joined(before, [choices.pick(TELLING)], after.subarray(1));
    case 2:
      return joined(before, [choices.below(256)], after.subarray(1));
    case 3:
      return joined(before, after.subarray(length));
    case 4:
      return joined(before, after.subarray(0, length), after);
    default:
      return joined(
        before,
        choices.times(length + 1, () => choices.pick(TELLING)),
        after,
      );
  }
}

export function joined(...pieces: readonly ArrayLike<number>[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Most chunks of an input; its rest comes in one, so that single bytes of a large input do not take all of the time. */
const MAX_CHUNKS = 500;

/** The bytes as a network delivers them, in chunks of lengths that the choices give; the simplest choices leave them whole. */
export async function* chunksOf(bytes: Uint8Array, choices: Choices): AsyncGenerator<Uint8Array> {
  const longest = choices.pick([bytes.byteLength, 1, 2, 7, 64, 4096]);
  for (let [at, count] = [0, 0]; at < bytes.byteLength; count++) {
    const isLast = count === MAX_CHUNKS;
    const length = isLast ? bytes.byteLength : Math.max(1, longest - choices.below(longest));
    yield bytes.slice(at, at + length);
    at += length;
  }
}

export async function* whole(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.byteLength > 0) yield bytes;
}

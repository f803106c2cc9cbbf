import type { Random } from '../random.ts';

/**
 * Batches that are sorted by length together. Fewer would waste more tokens on padding (bench/README.md, What a step takes); sorting all
 * together would give a text the same neighbours in every epoch.
 */
const BATCHES_SORTED_TOGETHER = 16;

/**
 * One epoch over examples of these lengths: each example's number once, in batches of similar length. Batches, and the examples in them,
 * come in a new random order. All batches but one hold `batchSize` examples, so there are `ceil(examples / batchSize)`.
 */
export function lengthBatches(lengths: ArrayLike<number>, batchSize: number, random: Random): number[][] {
  const shuffled = random.shuffle(Array.from({ length: lengths.length }, (_, example) => example));
  const sorted = chunks(shuffled, BATCHES_SORTED_TOGETHER * batchSize).map((pool) =>
    pool.sort((a, b) => lengths[a]! - lengths[b]!),
  );
  return random.shuffle(sorted.flatMap((pool) => chunks(pool, batchSize)));
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size));
}

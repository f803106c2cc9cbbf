/**
 * The ids of a row with virtual tokens before its text: -1 for the first of them, -2 for the second. They take places in the batch, so its
 * lengths, positions and costs include them; `parts/virtual-tokens.ts` puts embeddings there.
 */
export function withPlaceholders(count: number, text: Int32Array): Int32Array {
  if (count === 0) return text;
  const ids = new Int32Array(count + text.length);
  for (let i = 0; i < count; i++) ids[i] = -1 - i;
  ids.set(text, count);
  return ids;
}

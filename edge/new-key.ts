import { sha256Of } from './hashing.ts';

const KEY_BYTES = 24;

/** A new client key of 192 random bits, and its SHA-256, which alone is stored. */
export async function newKey(): Promise<{ key: string; hash: string }> {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  const text = btoa(String.fromCharCode(...bytes));
  const key = `weft-${text.replaceAll('+', '-').replaceAll('/', '_')}`;
  return { key, hash: await sha256Of(key) };
}

const encoder = new TextEncoder();

/** Lower-case hexadecimal SHA-256 of bytes, or of a text's UTF-8. */
export async function sha256Of(data: string | Uint8Array): Promise<string> {
  const bytes = typeof data === 'string' ? encoder.encode(data) : data;
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}

/** Compares two secrets in constant time: over digests, because `timingSafeEqual` throws on unequal lengths. */
export async function equalSecrets(a: string, b: string): Promise<boolean> {
  const [left, right] = await Promise.all(
    [a, b].map((text) => crypto.subtle.digest('SHA-256', encoder.encode(text))),
  );
  return crypto.subtle.timingSafeEqual(left!, right!);
}

/** `bytes` random bytes in hexadecimal. */
export function randomHex(bytes: number): string {
  return toHex(crypto.getRandomValues(new Uint8Array(bytes)));
}

/** An id such as `ftjob_4f1c…`: a prefix and 96 random bits. */
export function newId(prefix: 'file' | 'ftjob' | 'cls' | 'modr' | 'eval'): string {
  return `${prefix}_${randomHex(12)}`;
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

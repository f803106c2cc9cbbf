/** Most rows remembered; it bounds the table to about 12 MB, a tenth of an isolate's memory. */
const MAX_REMEMBERED = 200_000;

/**
 * Counts rows that repeat an earlier text, with the same label or with another, in bounded memory: it remembers the first 200,000 texts by
 * a 53-bit hash. Two of them collide by chance in 1 of 450,000 files; the count only warns, and drops no row.
 */
export class RepeatCounter {
  readonly #labelOfText = new Map<number, number>();
  #same = 0;
  #conflicting = 0;

  add(text: string, label: string): void {
    const key = hash53(text);
    const labelKey = hash53(label);
    const known = this.#labelOfText.get(key);
    if (known === undefined) {
      if (this.#labelOfText.size < MAX_REMEMBERED) this.#labelOfText.set(key, labelKey);
    } else if (known === labelKey) this.#same += 1;
    else this.#conflicting += 1;
  }

  warnings(): string[] {
    const warnings: string[] = [];
    if (this.#same > 0) warnings.push(`${count(this.#same)} an earlier text and label; they are kept.`);
    if (this.#conflicting > 0)
      warnings.push(`${count(this.#conflicting)} an earlier text with another label.`);
    return warnings;
  }
}

function count(rows: number): string {
  return rows === 1 ? '1 row repeats' : `${rows} rows repeat`;
}

/** cyrb53, public domain, bryc (https://github.com/bryc/code/blob/master/jshash/experimental/cyrb53.js). */
function hash53(text: string): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    high = Math.imul(high ^ unit, 2654435761);
    low = Math.imul(low ^ unit, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}

const FIRST_SLOTS = 1024;
/** Most slots, of 18 bytes: 19 MB, a seventh of a Worker's memory. */
const MAX_SLOTS = 2 ** 20;
const MAX_FILL = 0.8;

/** What is remembered of a text. */
export interface SeenText {
  /** Its index, while no text is added. */
  slot: number;
  isNew: boolean;
}

/**
 * Remembers texts by a 53-bit hash, each with its first line, the number of its first label, and how often it came: an open-addressing
 * table in typed arrays, so that many texts cost little memory and no garbage. Two of 800,000 texts collide by chance in one of 25,000
 * files; what is counted here only warns.
 */
export class TextTable {
  /** False once a text was not remembered because the table is full. */
  isComplete = true;
  #slots = FIRST_SLOTS;
  #size = 0;
  #hashes = new Float64Array(FIRST_SLOTS);
  #lines = new Uint32Array(FIRST_SLOTS);
  #counts = new Uint32Array(FIRST_SLOTS);
  #labels = new Uint16Array(FIRST_SLOTS);

  /** Counts a text; undefined where the table is full and the text is not in it. */
  add(text: string, line: number, label: number): SeenText | undefined {
    const hash = hash53(text);
    let slot = this.#find(hash);
    if (this.#counts[slot]! > 0) {
      this.#counts[slot]! += 1;
      return { slot, isNew: false };
    }
    if (this.#size >= this.#slots * MAX_FILL) {
      if (this.#slots === MAX_SLOTS) {
        this.isComplete = false;
        return undefined;
      }
      this.#grow();
      slot = this.#find(hash);
    }
    this.#size += 1;
    this.#hashes[slot] = hash;
    this.#put(slot, { line, count: 1, label });
    return { slot, isNew: true };
  }

  /** The slot of a text that was added. */
  slotOf(text: string): number | undefined {
    const slot = this.#find(hash53(text));
    return this.#counts[slot]! > 0 ? slot : undefined;
  }

  /** How often a text came. */
  countAt(slot: number): number {
    return this.#counts[slot]!;
  }

  /** The text's first line. */
  lineAt(slot: number): number {
    return this.#lines[slot]!;
  }

  /** The number of its first label. */
  labelAt(slot: number): number {
    return this.#labels[slot]!;
  }

  setLabel(slot: number, label: number): void {
    this.#labels[slot] = label;
  }

  /** The slots in use. */
  *slots(): Generator<number> {
    for (let slot = 0; slot < this.#slots; slot++) if (this.#counts[slot]! > 0) yield slot;
  }

  /** The slot of a hash, or the free one where it belongs. */
  #find(hash: number): number {
    let slot = hash % this.#slots;
    while (this.#counts[slot]! > 0 && this.#hashes[slot] !== hash) slot = (slot + 1) % this.#slots;
    return slot;
  }

  #put(slot: number, { line, count, label }: { line: number; count: number; label: number }): void {
    this.#lines[slot] = line;
    this.#counts[slot] = count;
    this.#labels[slot] = label;
  }

  #grow(): void {
    const [hashes, lines, counts, labels] = [this.#hashes, this.#lines, this.#counts, this.#labels];
    this.#slots *= 2;
    this.#hashes = new Float64Array(this.#slots);
    this.#lines = new Uint32Array(this.#slots);
    this.#counts = new Uint32Array(this.#slots);
    this.#labels = new Uint16Array(this.#slots);
    for (let old = 0; old < hashes.length; old++) {
      if (counts[old] === 0) continue;
      const slot = this.#find(hashes[old]!);
      this.#hashes[slot] = hashes[old]!;
      this.#put(slot, { line: lines[old]!, count: counts[old]!, label: labels[old]! });
    }
  }
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

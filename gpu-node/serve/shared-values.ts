/** Most values kept. */
const MAX_SHARED = 256;

/**
 * Replaces equal values by one object: most adapters are laid out alike, and many equal descriptions would take much memory
 * (docs/operations.md, Sizes).
 */
export class SharedValues<T> {
  readonly #byText = new Map<string, T>();

  /** Returns an equal value given before, or else this one. */
  shared(value: T): T {
    const text = JSON.stringify(value);
    const known = this.#byText.get(text);
    if (known) return known;
    if (this.#byText.size >= MAX_SHARED) this.#byText.clear();
    this.#byText.set(text, value);
    return value;
  }
}

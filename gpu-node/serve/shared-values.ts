/** Values kept at once. */
const MAX_SHARED = 256;

/** Equal values as one object: most adapters are laid out alike, and the descriptions of a thousand take 10 MB. */
export class SharedValues<T> {
  readonly #byText = new Map<string, T>();

  /** An equal one that was given before, or else this one. */
  shared(value: T): T {
    const text = JSON.stringify(value);
    const known = this.#byText.get(text);
    if (known) return known;
    if (this.#byText.size >= MAX_SHARED) this.#byText.clear();
    this.#byText.set(text, value);
    return value;
  }
}

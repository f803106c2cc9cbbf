import type { AdapterDescription } from '../../shared/adapter-description.ts';

/** Descriptions kept at once. */
const MAX_SHARED = 256;

/** Equal descriptions as one object: most adapters' files are laid out alike, and a thousand descriptions take 10 MB. */
export class SharedDescriptions {
  readonly #byText = new Map<string, AdapterDescription>();

  /** An equal one that was given before, or else this one. */
  shared(description: AdapterDescription): AdapterDescription {
    const text = JSON.stringify(description);
    const known = this.#byText.get(text);
    if (known) return known;
    if (this.#byText.size >= MAX_SHARED) this.#byText.clear();
    this.#byText.set(text, description);
    return description;
  }
}

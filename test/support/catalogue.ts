/** An adapter version that answers for a name: its reference, and the seed of its weights. */
export interface Version {
  ref: string;
  seed: number;
}

interface State {
  /** Undefined where nothing answers. */
  version: Version | undefined;
  /** When the change that led to it was asked for, and when the one that ended it was answered. */
  from: number;
  until: number;
}

/**
 * What names stood for, and when. A request may be answered by what a name stood for at any moment of it; while a change is
 * being made, both the old and the new are right.
 */
export class Catalogue {
  readonly #states = new Map<string, State[]>();
  readonly #versions = new Map<string, Version[]>();
  readonly #changing = new Map<string, Promise<unknown>>();

  get names(): string[] {
    return [...this.#states.keys()];
  }

  /** The versions of a name that there are, the newest last. */
  versions(name: string): readonly Version[] {
    return this.#versions.get(name) ?? [];
  }

  /** Notes a new version of a name; one change of a name at a time. */
  add(name: string, seed: number, make: () => Promise<string>): Promise<void> {
    return this.#change(name, async () => [...this.versions(name), { ref: await make(), seed }]);
  }

  /** Notes that the newest version of a name is deleted. */
  removeNewest(name: string, make: (ref: string) => Promise<unknown>): Promise<void> {
    return this.#change(name, async () => {
      const left = [...this.versions(name)];
      await make(left.pop()!.ref);
      return left;
    });
  }

  /** What a name stood for at some moment of `[from, to]`, once a change under way is done. */
  async during(name: string, from: number, to: number): Promise<(Version | undefined)[]> {
    await this.#changing.get(name);
    const states = this.#states.get(name) ?? [];
    return states.filter((state) => state.from <= to && state.until >= from).map(({ version }) => version);
  }

  /** A change that fails leaves open what the name stands for: it is forgotten. */
  #change(name: string, make: () => Promise<Version[]>): Promise<void> {
    const from = performance.now();
    const states = this.#states.get(name) ?? [];
    const change = make().then(
      (versions) => {
        const last = states.at(-1);
        if (last) last.until = performance.now();
        states.push({ version: versions.at(-1), from, until: Number.POSITIVE_INFINITY });
        this.#versions.set(name, versions);
        this.#states.set(name, states);
      },
      (error) => {
        this.#states.delete(name);
        throw error;
      },
    );
    const settled = change.catch(() => {});
    this.#changing.set(name, settled);
    return change;
  }
}

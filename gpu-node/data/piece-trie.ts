const SMALLEST = 1024;

/**
 * The pieces of a vocabulary, walked character by character. One hash table in typed arrays holds all edges, because a quarter of a million
 * pieces as objects would fill the memory. Characters are UTF-16 code units.
 */
export class PieceTrie {
  static readonly ROOT = 0;
  /** Source node, character and target node of each edge. No edge leads to the root, so a target of the root marks an empty place. */
  #from = new Int32Array(SMALLEST);
  #by = new Uint16Array(SMALLEST);
  #to = new Int32Array(SMALLEST);
  /** Id of the piece that ends at each node, or -1. */
  readonly #ids: number[] = [-1];

  add(piece: string, id: number): void {
    let node = PieceTrie.ROOT;
    for (let at = 0; at < piece.length; at++) {
      const code = piece.charCodeAt(at);
      node = this.child(node, code) || this.#grow(node, code);
    }
    this.#ids[node] = id;
  }

  /** The node to which a character leads; the root if there is none. */
  child(node: number, code: number): number {
    return this.#to[this.#place(node, code)]!;
  }

  /** The id of the piece that ends at a node, or -1. */
  idAt(node: number): number {
    return this.#ids[node]!;
  }

  #grow(node: number, code: number): number {
    const child = this.#ids.push(-1) - 1;
    if (2 * child > this.#to.length) this.#widen();
    this.#put(node, code, child);
    return child;
  }

  #put(node: number, code: number, child: number): void {
    const place = this.#place(node, code);
    this.#from[place] = node;
    this.#by[place] = code;
    this.#to[place] = child;
  }

  #widen(): void {
    const [from, by, to] = [this.#from, this.#by, this.#to];
    const size = 2 * to.length;
    this.#from = new Int32Array(size);
    this.#by = new Uint16Array(size);
    this.#to = new Int32Array(size);
    for (let i = 0; i < to.length; i++) if (to[i] !== PieceTrie.ROOT) this.#put(from[i]!, by[i]!, to[i]!);
  }

  /** The place of an edge, or the empty place for it (open addressing, Fibonacci hashing). */
  #place(node: number, code: number): number {
    const mask = this.#to.length - 1;
    let place = (Math.imul(Math.imul(node, 0x9e3779b1) ^ code, 0x85ebca6b) >>> 8) & mask;
    while (this.#to[place] !== PieceTrie.ROOT && (this.#from[place] !== node || this.#by[place] !== code)) {
      place = (place + 1) & mask;
    }
    return place;
  }
}

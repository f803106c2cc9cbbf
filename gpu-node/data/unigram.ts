import { PieceTrie } from './piece-trie.ts';
import type { SubWordModel } from './sub-words.ts';

export interface UnigramSpec {
  /** Pieces with the logarithm of their probability; a piece's id is its index. */
  readonly vocab: readonly (readonly [string, number])[];
  readonly unknownId: number;
  readonly normalize: (text: string) => string;
  readonly metaspace: {
    /** Character that stands for a blank. */
    readonly replacement: string;
    /** True if a text without it at the start gets one. */
    readonly prepend: boolean;
  };
  /** True if a text is first split at all white space. */
  readonly splitsAtSpace: boolean;
}

/** Penalty of an unknown character below the least probable piece (sentencepiece's kUnkPenalty). */
const UNKNOWN_PENALTY = 10;
const NOWHERE = -1;

/**
 * The Unigram model (Kudo 2018, arXiv:1804.10959) of XLM-RoBERTa, equal to Hugging Face's tokenizers in Rust. It finds the most probable
 * way to split a word into pieces; each run of unknown characters is one token.
 */
export class Unigram implements SubWordModel {
  readonly normalize: (text: string) => string;
  readonly #spec: UnigramSpec;
  readonly #pieces = new PieceTrie();
  readonly #unknownScore: number;
  /** For each end of a piece, the best path to it: its score, the start of its last piece, and that piece's id. */
  #scores = new Float64Array(0);
  #starts = new Int32Array(0);
  #ids = new Int32Array(0);

  constructor(spec: UnigramSpec) {
    this.#spec = spec;
    this.normalize = spec.normalize;
    let least = Number.POSITIVE_INFINITY;
    for (const [id, [piece, score]] of spec.vocab.entries()) {
      least = Math.min(least, score);
      if (piece !== '') this.#pieces.add(piece, id);
    }
    this.#unknownScore = least - UNKNOWN_PENALTY;
  }

  *words(text: string): Generator<string> {
    const { splitsAtSpace, metaspace } = this.#spec;
    const { replacement, prepend } = metaspace;
    for (const part of splitsAtSpace ? text.split(/\p{White_Space}+/u) : [text]) {
      if (part === '') continue;
      const marked = part.replaceAll(' ', replacement);
      const whole = prepend && !marked.startsWith(replacement) ? replacement + marked : marked;
      for (let begin = 0; begin < whole.length; ) {
        const next = whole.indexOf(replacement, begin + 1);
        const end = next < 0 ? whole.length : next;
        yield whole.slice(begin, end);
        begin = end;
      }
    }
  }

  pieces(word: string): readonly number[] {
    if (word.length >= this.#scores.length) this.#reserve(2 * word.length);
    this.#findBestPath(word);
    const { unknownId } = this.#spec;
    const pieces: number[] = [];
    for (let end = word.length; end > 0; end = this.#starts[end]!) {
      const id = this.#ids[end]!;
      if (id !== unknownId || pieces.at(-1) !== unknownId) pieces.push(id);
    }
    return pieces.reverse();
  }

  #reserve(length: number): void {
    this.#scores = new Float64Array(length + 1);
    this.#starts = new Int32Array(length + 1);
    this.#ids = new Int32Array(length + 1);
  }

  #findBestPath(word: string): void {
    const { vocab, unknownId } = this.#spec;
    this.#starts.fill(NOWHERE, 0, word.length + 1);
    this.#scores[0] = 0;
    for (let start = 0; start < word.length; ) {
      const size = word.codePointAt(start)! > 0xffff ? 2 : 1;
      let isKnown = false;
      let node = PieceTrie.ROOT;
      for (let end = start + 1; end <= word.length; end++) {
        node = this.#pieces.child(node, word.charCodeAt(end - 1));
        if (node === PieceTrie.ROOT) break;
        const id = this.#pieces.idAt(node);
        if (id < 0) continue;
        this.#offer(start, end, id, vocab[id]![1]);
        isKnown ||= end === start + size;
      }
      if (!isKnown) this.#offer(start, start + size, unknownId, this.#unknownScore);
      start += size;
    }
  }

  /** Offers a piece on the way to `end`; of equally good ways the first stays. */
  #offer(start: number, end: number, id: number, score: number): void {
    const total = this.#scores[start]! + score;
    if (this.#starts[end] !== NOWHERE && total <= this.#scores[end]!) return;
    this.#scores[end] = total;
    this.#starts[end] = start;
    this.#ids[end] = id;
  }
}

import type { Random } from '../../gpu-node/random.ts';

/** Most choices of an input; beyond them each is the simplest. */
export const MAX_CHOICES = 4096;

/** Numbers of faults that an input may have, drawn with equal chances. */
const FAULTS = [0, 1, 1, 2, 4, 16];

/**
 * The choices that an input is made from: a list of integers in [0, 2^32), of which 0 always means the simplest. A target draws only from
 * this list. So every input can be made again, changed and shrunk as a list of numbers, without knowing its format (as in Hypothesis,
 * MacIver and Donaldson 2020). Beyond the given choices they are random, or 0 without a generator.
 */
export class Choices {
  /** Named parts of the input, for readers of a finding. */
  readonly notes: [name: string, value: unknown][] = [];
  /** True while no fault has been made: then the output must equal the input. */
  isSound = true;
  readonly #given: ArrayLike<number>;
  readonly #random: Random | undefined;
  readonly #record: Uint32Array;
  #count = 0;
  #faults: number | undefined;

  /** `record` receives the drawn choices; another thread may read it while this one hangs. */
  constructor(given: ArrayLike<number>, random?: Random, record: Uint32Array = new Uint32Array(MAX_CHOICES)) {
    this.#given = given;
    this.#random = random;
    this.#record = record;
    record.fill(0);
  }

  /** The choices so far. */
  get taken(): number[] {
    return Array.from(this.#record.subarray(0, this.#count));
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    if (this.#count === MAX_CHOICES) return 0;
    const isGiven = this.#count < this.#given.length;
    const value = (isGiven ? this.#given[this.#count]! : (this.#random?.uint32() ?? 0)) % bound;
    this.#record[this.#count++] = value;
    return value;
  }

  /** An integer in [from, to]; the simplest is `from`. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  /**
   * Decides whether to make a fault here: one time in `chances` while the input has faults left. Most inputs have one or two, because of
   * several only the first one met is tested.
   */
  fault(chances: number): boolean {
    this.#faults ??= this.pick(FAULTS);
    if (this.#faults === 0 || !this.rarely(chances)) return false;
    this.#faults--;
    this.isSound = false;
    return true;
  }

  /** The first of a list, or at the price of a fault another one. */
  usually<T>(list: readonly [T, ...T[]], chances = 6): T {
    return this.fault(chances) ? list[1 + this.below(list.length - 1)]! : list[0];
  }

  /** True one time in `chances`; false is the simplest. */
  rarely(chances: number): boolean {
    return this.below(chances) === chances - 1;
  }

  /** One of a list; the simplest is its first. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** Calls `make` `count` times; each call may draw too. */
  times<T>(count: number, make: (index: number) => T): T[] {
    return Array.from({ length: count }, (_, index) => make(index));
  }

  /** Records a part of the input under a name, and returns it. */
  note<T>(name: string, value: T): T {
    this.notes.push([name, value]);
    return value;
  }
}

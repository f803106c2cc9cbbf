import type { Random } from '../../gpu-node/random.ts';

/** An input takes no more choices than this; beyond them each is the simplest. */
export const MAX_CHOICES = 4096;

/** How many faults inputs have. */
const FAULTS = [0, 1, 1, 2, 4, 16];

/**
 * What an input is made from: a list of choices, each an integer in [0, 2^32), of which 0 always means the simplest. A target draws from
 * it and never from anything else, so that whatever it makes can be made again, changed and made smaller as a list of numbers, with no
 * knowledge of its format (as Hypothesis does, MacIver and Donaldson 2020). Beyond the given ones they are random, or 0 without a generator.
 */
export class Choices {
  /** What the input is made of, in parts, for whoever reads a finding. */
  readonly notes: [name: string, value: unknown][] = [];
  /** Whether nothing has been done wrong: then what was put in is what must come out. */
  isSound = true;
  readonly #given: ArrayLike<number>;
  readonly #random: Random | undefined;
  readonly #record: Uint32Array;
  #count = 0;
  #faults: number | undefined;

  /** `record` takes what is drawn: another thread may read it while this one hangs. */
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
   * Whether to do something wrong here, one in `chances` times, as long as the input has faults left: most have one or two, because of
   * more only the first that is met is tested.
   */
  fault(chances: number): boolean {
    this.#faults ??= this.pick(FAULTS);
    if (this.#faults === 0 || !this.rarely(chances)) return false;
    this.#faults--;
    this.isSound = false;
    return true;
  }

  /** The first of a list, or at the price of a fault one of the others. */
  usually<T>(list: readonly [T, ...T[]], chances = 6): T {
    return this.fault(chances) ? list[1 + this.below(list.length - 1)]! : list[0];
  }

  /** One in `chances` times true; false is the simplest. */
  rarely(chances: number): boolean {
    return this.below(chances) === chances - 1;
  }

  /** One of a list; the simplest is its first. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** As many as `count` calls give, each of which may draw too. */
  times<T>(count: number, make: (index: number) => T): T[] {
    return Array.from({ length: count }, (_, index) => make(index));
  }

  /** Says what a part of the input is, and gives it back. */
  note<T>(name: string, value: T): T {
    this.notes.push([name, value]);
    return value;
  }
}

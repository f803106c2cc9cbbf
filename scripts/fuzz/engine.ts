import type { Random } from '../../gpu-node/random.ts';
import { Choices, MAX_CHOICES } from './choices.ts';
import type { Check } from './target.ts';

/** An input that a target found fault with, as small as could be made. */
export interface Finding {
  message: string;
  choices: readonly number[];
}

export interface FuzzOptions {
  check: Check;
  random: Random;
  /** Whether code has run since the last call that never ran before. */
  reachedNew(): boolean;
  isOver(): boolean;
  onFinding(finding: Finding): void;
  /** Called before each input, also those of making a finding smaller. */
  onInput?(): void;
  /** Takes the choices of the input under way. */
  record?: Uint32Array;
}

/** Inputs kept to make others from. */
const MAX_CORPUS = 2000;
/** Of eight inputs, so many are made from one that reached something new. */
const MUTATED_OF_8 = 6;
const MAX_CHANGES = 6;
/** Inputs tried to make a finding smaller, and how long that may take. */
const MAX_SHRINKS = 2000;
const MAX_SHRINK_MS = 20_000;
/** Findings of one kind are told once; of more kinds than this something is broken. */
const MAX_FINDINGS = 20;

/** Makes inputs until it is over, from random choices and from those of earlier inputs that reached new code. Gives their number. */
export async function fuzz(options: FuzzOptions): Promise<number> {
  const { check, random, record, onInput } = options;
  const corpus: (readonly number[])[] = [[]];
  const kinds = new Set<string>();
  let inputs = 0;
  const run = async (given: readonly number[], source?: Random) => {
    onInput?.();
    const choices = new Choices(given, source, record);
    const error = await errorOf(check, choices);
    return { taken: choices.taken, error };
  };
  while (!options.isOver() && kinds.size < MAX_FINDINGS) {
    const { taken, error } = await run(random.below(8) < MUTATED_OF_8 ? mutate(corpus, random) : [], random);
    inputs++;
    if (options.reachedNew())
      corpus[corpus.length < MAX_CORPUS ? corpus.length : random.below(MAX_CORPUS)] = taken;
    if (error === undefined || kinds.has(kindOf(error))) continue;
    kinds.add(kindOf(error));
    const choices = await shrink(taken, async (given) => {
      const again = (await run(given)).error;
      return again !== undefined && kindOf(again) === kindOf(error);
    });
    options.onFinding({ message: (await run(choices)).error ?? `${error} (not always)`, choices });
  }
  return inputs;
}

async function errorOf(check: Check, choices: Choices): Promise<string | undefined> {
  try {
    await check(choices);
    return undefined;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : `it threw ${String(error)}`;
  }
}

/** What two errors of the same fault share: the message without its details, and where it was thrown. */
function kindOf(stack: string): string {
  const [message = '', ...frames] = stack.split('\n');
  const place = frames.find((line) => /\/(edge|gpu-node|shared|scripts)\//.test(line)) ?? '';
  return `${message.replaceAll(/"[^"]*"|\d+/g, '…').slice(0, 100)} ${place.trim()}`;
}

/** An input of the corpus with a few of its choices changed, left out, put in, repeated, or followed by those of another. */
function mutate(corpus: readonly (readonly number[])[], random: Random): number[] {
  const choices = [...corpus[random.below(corpus.length)]!];
  for (let left = 1 + random.below(MAX_CHANGES); left > 0; left--) {
    const at = random.below(choices.length + 1);
    const length = 1 + random.below(random.below(16) + 1);
    const other = corpus[random.below(corpus.length)]!;
    const kind = random.below(6);
    if (kind === 0 && at < choices.length) choices[at] = random.below(8);
    else if (kind === 1 && at < choices.length) choices[at] = random.uint32();
    else if (kind === 2) choices.splice(at, length);
    else if (kind === 3) choices.splice(at, 0, ...Array.from({ length }, () => random.uint32()));
    else if (kind === 4) choices.splice(at, 0, ...choices.slice(at, at + length));
    else choices.splice(at, choices.length, ...other.slice(random.below(other.length + 1)));
  }
  return choices.slice(0, MAX_CHOICES);
}

/** The simplest choices that are found by leaving out runs of them and by making each smaller, as long as `fails` says so. */
async function shrink(
  from: readonly number[],
  fails: (choices: readonly number[]) => Promise<boolean>,
): Promise<readonly number[]> {
  let best = from;
  let left = MAX_SHRINKS;
  const end = performance.now() + MAX_SHRINK_MS;
  const isSmaller = async (choices: readonly number[]) => {
    if (left-- <= 0 || performance.now() > end || !(await fails(choices))) return false;
    best = choices;
    return true;
  };
  for (let before: readonly number[] = []; before !== best; ) {
    before = best;
    await leaveOut();
    await lower();
  }
  return best;

  async function leaveOut(): Promise<void> {
    for (let span = best.length; span >= 1; span >>= 1) {
      for (let at = 0; at + span <= best.length; ) {
        const isLeftOut = await isSmaller([...best.slice(0, at), ...best.slice(at + span)]);
        if (!isLeftOut) at += span;
      }
    }
  }

  /** By halves: 0, then half of it, then three quarters. */
  async function lower(): Promise<void> {
    for (let at = 0; at < best.length; at++) {
      for (let value = 0; value < best[at]!; value += Math.ceil((best[at]! - value) / 2)) {
        if (await isSmaller(best.with(at, value))) break;
      }
    }
  }
}

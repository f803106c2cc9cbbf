import type { Random } from '../../gpu-node/random.ts';
import { Choices, MAX_CHOICES } from './choices.ts';
import type { Check } from './target.ts';

/** An input in which a target found a fault, made as small as possible. */
export interface Finding {
  message: string;
  choices: readonly number[];
}

export interface FuzzOptions {
  check: Check;
  random: Random;
  /** True if code has run for the first time since the last call. */
  reachedNew(): boolean;
  isOver(): boolean;
  onFinding(finding: Finding): void;
  /** Called before each input, including those that shrink a finding. */
  onInput?(): void;
  /** Receives the choices of the input under way. */
  record?: Uint32Array;
}

/** Most inputs kept to make others from. */
const MAX_CORPUS = 2000;
/** Of eight inputs, the number made from one that reached new code. */
const MUTATED_OF_8 = 6;
const MAX_CHANGES = 6;
/** Most inputs tried to shrink a finding, and the time for it. */
const MAX_SHRINKS = 2000;
const MAX_SHRINK_MS = 20_000;
/** Most kinds of findings; more mean that something is broken. Each kind is reported once. */
const MAX_FINDINGS = 20;

/**
 * Makes inputs until the time is over, from random choices and from those of earlier inputs that reached new code. Returns their number.
 */
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

/** The common part of two errors of the same fault: the message without its details, and where it was thrown. */
function kindOf(stack: string): string {
  const [message = '', ...frames] = stack.split('\n');
  const place = frames.find((line) => /\/(edge|gpu-node|shared|scripts)\//.test(line)) ?? '';
  return `${message.replaceAll(/"[^"]*"|\d+/g, '…').slice(0, 100)} ${place.trim()}`;
}

/** Changes a few choices of an input: it replaces, drops, inserts or repeats some, or appends those of another. */
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

/** The simplest choices for which `fails` still holds, found by dropping runs of them and lowering each. */
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

  /** Lowers a choice by halves: 0, then half of it, then three quarters. */
  async function lower(): Promise<void> {
    for (let at = 0; at < best.length; at++) {
      for (let value = 0; value < best[at]!; value += Math.ceil((best[at]! - value) / 2)) {
        if (await isSmaller(best.with(at, value))) break;
      }
    }
  }
}

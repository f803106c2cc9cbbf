import { describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import { Choices } from '../../../scripts/fuzz/choices.ts';
import { type Finding, fuzz } from '../../../scripts/fuzz/engine.ts';
import { guarded } from '../../../scripts/fuzz/guard.ts';
import { outcomeOf } from '../../../scripts/fuzz/oracle.ts';
import type { Check } from '../../../scripts/fuzz/target.ts';
import { AppError } from '../../../shared/errors.ts';

/** What so many inputs find. `reached` tells of each new thing that the check has got to. */
async function findings(check: Check, inputs: number, reached: Set<string> = new Set()): Promise<Finding[]> {
  const found: Finding[] = [];
  let [left, seen] = [inputs, 0];
  await fuzz({
    check,
    random: new Random(1, 'test'),
    reachedNew: () => {
      const isNew = reached.size > seen;
      seen = reached.size;
      return isNew;
    },
    isOver: () => left-- <= 0,
    onFinding: (finding) => found.push(finding),
  });
  return found;
}

describe('choices', () => {
  it('give the same input again, and the simplest where there are none left', () => {
    const draw = (choices: Choices) => [choices.below(7), choices.pick(['a', 'b', 'c']), choices.rarely(3)];
    const first = new Choices([], new Random(1, 'choices'));
    const input = draw(first);
    expect(draw(new Choices(first.taken))).toEqual(input);
    expect(draw(new Choices([]))).toEqual([0, 'a', false]);
  });
});

describe('the fuzzer', () => {
  it('finds a fault, makes its input as small as it gets, and tells each kind once', async () => {
    const found = await findings((choices) => {
      const list = choices.times(choices.below(20), () => choices.below(1000));
      if (list.some((each) => each > 900)) throw new Error(`a list holds ${list.find((each) => each > 900)}`);
    }, 200);
    expect(found).toHaveLength(1);
    expect(found[0]!.choices).toEqual([1, 901]);
    expect(found[0]!.message).toMatch(/^Error: a list holds 901\n/);
  });

  it('gets through a door that chance alone does not open, by what its inputs reached', async () => {
    const reached = new Set<string>();
    const lock: Check = (choices) => {
      for (const key of [17, 3, 98]) {
        if (choices.below(100) !== key) return;
        reached.add(`behind ${key}`);
      }
      throw new Error('it is open');
    };
    expect(await findings(lock, 6000, reached)).toHaveLength(1);
    expect(await findings(lock, 6000)).toEqual([]);
  });
});

describe('its judges', () => {
  const judged = (act: () => unknown) => guarded(async () => void (await outcomeOf(act)))(new Choices([]));

  it('let an answer pass, and a refusal in words', async () => {
    await judged(() => 1);
    await judged(() => {
      throw new AppError('invalid_adapter', 'the file has no header');
    });
  });

  it.each<[string, () => unknown, RegExp]>([
    ['any other error', () => (null as unknown as { x: number }).x, /Cannot read properties of null/],
    [
      'a refusal that blames the server',
      () => {
        throw new AppError('internal_error', 'x');
      },
      /internal_error/,
    ],
    [
      'endless words',
      () => {
        throw new AppError('invalid_adapter', 'x'.repeat(5000));
      },
      /too long/,
    ],
    ['what all objects inherit', () => Object.assign(Object.prototype, { polluted: 1 }), /prototypes/],
  ])('find fault with %s', async (_what, act, message) => {
    try {
      await expect(judged(act)).rejects.toThrow(message);
    } finally {
      delete (Object.prototype as { polluted?: number }).polluted;
    }
  });
});

import { describe, expect, it } from 'vitest';
import { choose, covers, planName, planSize, unionOf } from '../../../gpu-node/serve/plans.ts';

const LORA = { lowRank: ['query', 'value'] };
const DORA = { lowRank: ['query', 'value'], gain: ['query', 'value'] };
const IA3 = { gain: ['key', 'value'], reach: ['output'] };

describe('a plan', () => {
  it('covers another where each of its parts acts at each of its places', () => {
    expect([covers(DORA, LORA), covers(LORA, DORA), covers(LORA, LORA)]).toEqual([true, false, true]);
    expect([covers(DORA, IA3), covers(LORA, { lowRank: ['key'] })]).toEqual([false, false]);
    expect(covers(LORA, { gain: ['query', 'value'] })).toBe(false);
    expect(covers({}, {})).toBe(true);
  });

  it('has one name, whatever the order of its parts and places, and whether a part that acts nowhere is named', () => {
    const other = { reach: [], gain: ['value', 'query'], lowRank: ['value', 'query'] };
    expect(planName(other)).toBe(planName(DORA));
    expect(planName(LORA)).not.toBe(planName(DORA));
    expect(planName({ gain: ['query', 'value'] })).not.toBe(planName(LORA));
  });

  it('is united with others to the smallest that covers all of them', () => {
    const union = unionOf([LORA, DORA, IA3]);
    for (const plan of [LORA, DORA, IA3]) expect(covers(union, plan)).toBe(true);
    expect(planSize(union)).toBe(2 + 3 + 1);
    expect(planName(unionOf([LORA, DORA]))).toBe(planName(DORA));
  });
});

describe('an adapter', () => {
  const session = (plan: object, isOpen = true) => ({ plan, isOpen });
  const [lora, dora, union] = [session(LORA), session(DORA), session(unionOf([LORA, DORA, IA3]))];

  it('goes to the smallest open session that covers its plan', () => {
    expect(choose([union, dora, lora], LORA)).toEqual([lora, dora, union]);
    expect(choose([union, dora, lora], DORA)[0]).toBe(dora);
    expect(choose([union, dora, lora], IA3)).toEqual([union]);
    expect(choose([lora], IA3)).toEqual([]);
  });

  it('waits for one that is being built only where none is open', () => {
    const building = session(LORA, false);
    expect(choose([building, union], LORA)).toEqual([union, building]);
    expect(choose([building], LORA)).toEqual([building]);
  });
});

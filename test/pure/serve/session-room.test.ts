import { describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import { type Hold, SessionRoom } from '../../../gpu-node/serve/session-room.ts';

const never = new AbortController().signal;

/** Room for two groups of 4 bytes; `left` are those that left, in order. */
function room(maxBytes = 8) {
  const left: string[] = [];
  const its = new SessionRoom(maxBytes, (key) => {
    left.push(key);
    // As sessions say that close.
    its.remove(key);
  });
  return { room: its, left };
}

/** Who waits and gets in later says so in `came`. */
function waits(its: SessionRoom, key: string, came: string[], bytes = 4): Promise<Hold> {
  return its.wait(key, bytes, never).then((hold) => {
    came.push(key);
    return hold;
  });
}

/** Lets promises that are settled be heard. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('SessionRoom', () => {
  it('lets the group go that was used longest ago, and none that is held', () => {
    const { room: its, left } = room();
    its.admit('a', 4)!.release();
    const b = its.admit('b', 4)!;
    its.hold('a')!.release();
    expect(its.admit('c', 4)).toBeDefined();
    expect(left).toEqual(['a']);
    expect(its.admit('d', 4)).toBeUndefined();
    b.release();
    expect(its.admit('d', 4)).toBeDefined();
    expect([left, its.size, its.bytes]).toEqual([['a', 'b'], 2, 8]);
    expect(its.hold('b')).toBeUndefined();
  });

  it('lets in one group whatever it takes, and none beside it', () => {
    const { room: its } = room();
    const large = its.admit('large', 1000)!;
    expect(its.admit('small', 1)).toBeUndefined();
    large.release();
    expect(its.admit('small', 1)).toBeDefined();
    expect(its.bytes).toBe(1);
  });

  it('closes what was used longest ago where another has grown, also when it is released only then', () => {
    const { room: its, left } = room();
    its.admit('a', 2)!.release();
    const b = its.admit('b', 2)!;
    its.admit('c', 2)!.release();
    its.resize('c', 5);
    expect([left, its.bytes]).toEqual([['a'], 7]);
    its.resize('c', 7);
    expect([left, its.size]).toEqual([['a', 'c'], 1]);
    b.release();
    expect([left, its.bytes]).toEqual([['a', 'c'], 2]);
  });

  it('lets those who wait in as they came, one group for all who wait for it', async () => {
    const { room: its, left } = room();
    const [a, b] = [its.admit('a', 4)!, its.admit('b', 4)!];
    const came: string[] = [];
    const waiting = ['c', 'd', 'c'].map((key) => waits(its, key, came));
    expect(its.admit('e', 1)).toBeUndefined();
    b.release();
    await turn();
    expect([came, left]).toEqual([['c', 'c'], ['b']]);
    a.release();
    await turn();
    expect([came, left]).toEqual([
      ['c', 'c', 'd'],
      ['b', 'a'],
    ]);
    for (const each of waiting) (await each).release();
    expect(its.admit('e', 4)).toBeDefined();
  });

  it('takes no more rows for the group that has been here longest while another waits, so that this one comes in', async () => {
    const { room: its, left } = room();
    const [a, b] = [its.admit('a', 4)!, its.admit('b', 4)!];
    const came: string[] = [];
    const waiting = waits(its, 'c', came);
    expect([its.hold('a'), its.hold('b') === undefined]).toEqual([undefined, false]);
    a.release();
    (await waiting).release();
    expect([came, left]).toEqual([['c'], ['a']]);
    b.release();
  });

  it('forgets who waits no longer, and takes rows again for what was to make way', async () => {
    const { room: its } = room(4);
    const a = its.admit('a', 4)!;
    const caller = new AbortController();
    const waiting = its.wait('b', 4, caller.signal);
    expect(its.hold('a')).toBeUndefined();
    caller.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
    its.hold('a')!.release();
    a.release();
    expect(its.admit('c', 4)).toBeDefined();
  });

  it('has room again where sessions ended unasked, and hears no release of what they were', async () => {
    const { room: its, left } = room(4);
    const a = its.admit('a', 4)!;
    const waiting = its.wait('b', 4, never);
    its.remove('a');
    const b = await waiting;
    its.remove('b');
    const again = its.admit('b', 4)!;
    b.release();
    a.release();
    expect(its.admit('c', 4)).toBeUndefined();
    again.release();
    expect(left).toEqual([]);
  });

  it('lets a group go that others serve from now on, when its last rows are answered', () => {
    const { room: its, left } = room();
    const a = its.admit('a', 4)!;
    its.admit('b', 4)!.release();
    its.retire('b');
    its.retire('a');
    expect([left, its.hold('a'), its.size]).toEqual([['b'], undefined, 1]);
    a.release();
    expect([left, its.bytes]).toEqual([['b', 'a'], 0]);
    its.retire('a');
  });

  it('takes rows again for a group that was to go, where somebody asks for it after all', () => {
    const { room: its, left } = room();
    const a = its.admit('a', 4)!;
    its.retire('a');
    const again = its.admit('a', 4)!;
    a.release();
    expect([left, its.bytes]).toEqual([[], 4]);
    again.release();
    expect(its.hold('a')).toBeDefined();
  });

  it('takes a group in beside those that must stay, or not at all', () => {
    const { room: its, left } = room();
    for (const key of ['a', 'b']) its.admit(key, 4)!.release();
    expect(its.admit('union', 4, () => true)).toBeUndefined();
    expect(left).toEqual([]);
    expect(its.admit('union', 4, (key) => key === 'a')).toBeDefined();
    expect(left).toEqual(['b']);
  });

  it('serves twelve sorts on room for three in turns, whoever asks: none starves', async () => {
    const { room: its } = room(12);
    const random = new Random(1, 'sorts');
    const served = new Map<string, number>();
    const ask = async () => {
      for (let i = 0; i < 60; i++) {
        const key = `sort ${random.below(12)}`;
        const hold = its.hold(key) ?? its.admit(key, 4) ?? (await its.wait(key, 4, never));
        for (let turns = random.below(4); turns > 0; turns--) await turn();
        served.set(key, (served.get(key) ?? 0) + 1);
        hold.release();
        expect(its.bytes).toBeLessThanOrEqual(12);
      }
    };
    await Promise.all(Array.from({ length: 8 }, ask));
    expect([served.size, [...served.values()].reduce((a, b) => a + b)]).toEqual([12, 480]);
  });
});

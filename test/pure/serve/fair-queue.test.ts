import { describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import { FairQueue } from '../../../gpu-node/serve/fair-queue.ts';

interface Item {
  name: string;
  cost: number;
  abandoned(): boolean;
}

const item = (name: string, cost = 1, abandoned = () => false): Item => ({ name, cost, abandoned });

/** The names of the next turns, each over before the next begins. */
function turns(queue: FairQueue<Item>, most = Number.POSITIVE_INFINITY): string {
  let names = '';
  for (let n = 0; n < most; n++) {
    const turn = queue.take();
    if (!turn) break;
    queue.reach(turn.start);
    names += turn.item.name;
  }
  return names;
}

describe('FairQueue', () => {
  it('keeps the order of arrival within a flow', () => {
    const queue = new FairQueue<Item>();
    for (const name of 'abcd') queue.add(['x'], item(name));
    expect(turns(queue)).toBe('abcd');
  });

  it('gives a newcomer its turn before the rest of a flood', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 1000; i++) queue.add(['flood'], item('f'));
    expect(turns(queue, 3)).toBe('fff');
    for (const name of 'abc') queue.add(['newcomer'], item(name));
    expect(turns(queue, 6)).toBe('afbfcf');
  });

  it('shares by cost, not by number', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 100; i++) queue.add(['long'], item('L', 10));
    for (let i = 0; i < 100; i++) queue.add(['short'], item('s', 2));
    const served = turns(queue, 60);
    const [long, short] = [...'Ls'].map((name) => served.split(name).length - 1);
    expect(Math.abs(long! * 10 - short! * 2)).toBeLessThanOrEqual(10);
  });

  it('is fair between outer flows however many inner ones one of them has', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 300; i++) queue.add(['many', `adapter ${i % 100}`], item('m'));
    for (let i = 0; i < 50; i++) queue.add(['one', 'adapter'], item('o'));
    const served = turns(queue, 100);
    expect(served.split('o').length - 1).toBe(50);
  });

  it('is fair between the inner flows of one outer flow', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 500; i++) queue.add(['tenant', 'flooded'], item('f'));
    expect(turns(queue, 5)).toBe('fffff');
    for (const name of 'ab') queue.add(['tenant', 'quiet'], item(name));
    expect(turns(queue, 4)).toBe('afbf');
  });

  it('does not let a flow save up turns while it is idle, nor shed what it owes', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 100; i++) queue.add(['busy'], item('b'));
    turns(queue, 50);
    for (let i = 0; i < 10; i++) queue.add(['late'], item('l'));
    expect(turns(queue, 10)).toBe('lblblblblb');
    const owing = new FairQueue<Item>();
    for (let i = 0; i < 4; i++) owing.add(['steady'], item('s', 4));
    owing.add(['greedy'], item('g', 16));
    expect(turns(owing, 2)).toBe('sg');
    owing.add(['greedy'], item('g'));
    expect(turns(owing)).toBe('sssg');
  });

  it('drops what is abandoned without a turn', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 10; i++)
      queue.add(
        ['gone'],
        item('x', 1, () => true),
      );
    queue.add(['gone'], item('a'));
    queue.add(['here'], item('b'));
    expect(queue.size).toBe(12);
    expect(turns(queue)).toBe('ab');
    expect(queue.size).toBe(0);
  });

  it('gives out everything once, whatever comes while it does', () => {
    const random = new Random(1, 'fair queue');
    const queue = new FairQueue<Item>();
    let added = 0;
    const given = new Set<string>();
    while (given.size < 5000) {
      for (let n = added < 5000 ? random.below(4) : 0; n > 0; n--) {
        const path = [`tenant ${random.below(300)}`, `adapter ${random.below(20)}`];
        queue.add(path, item(`${added++}`, 1 + random.below(512)));
      }
      const turn = queue.take();
      if (!turn) continue;
      queue.reach(turn.start);
      expect(given.has(turn.item.name)).toBe(false);
      given.add(turn.item.name);
      expect(queue.size).toBe(added - given.size);
      if (given.size === added && added >= 5000) break;
    }
    expect(queue.take()).toBeUndefined();
  });
});

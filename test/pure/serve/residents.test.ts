import { describe, expect, it } from 'vitest';
import { type Resident, Residents } from '../../../gpu-node/serve/residents.ts';

const MIB = 1024 * 1024;
const resident = (bundle: string, bytes = 4 * MIB, load = 1): Resident => ({
  bundle,
  handle: `${bundle} ${load}`,
  bytes,
});

/** Room for two adapters; `left` are the handles of those that left, in order. */
function room() {
  const left: string[] = [];
  return { residents: new Residents<Resident>(8 * MIB, ({ handle }) => left.push(handle)), left };
}

describe('Residents', () => {
  it('lets the least recently used of equals go', () => {
    const { residents, left } = room();
    for (const bundle of ['a', 'b']) residents.add(resident(bundle));
    residents.pin('a')!.release();
    expect(residents.add(resident('c'))).toBe(true);
    expect(left).toEqual(['b 1']);
    expect(residents.bytes).toBe(8 * MIB);
  });

  it('gives way on its own account, as long as one is not pinned', () => {
    const { residents, left } = room();
    for (const bundle of ['a', 'b']) residents.add(resident(bundle));
    residents.pin('a');
    expect([residents.giveWay(), residents.giveWay()]).toEqual([true, false]);
    expect([left, residents.bytes]).toEqual([['b 1'], 4 * MIB]);
  });

  it('never lets go of what is pinned, and takes nothing in that does not fit beside it', () => {
    const { residents, left } = room();
    for (const bundle of ['a', 'b']) residents.add(resident(bundle));
    const pins = ['a', 'b'].map((bundle) => residents.pin(bundle)!);
    expect(residents.add(resident('c'))).toBe(false);
    expect([left, residents.get('c')]).toEqual([[], undefined]);
    pins[0]!.release();
    expect(residents.add(resident('c'))).toBe(true);
    expect(left).toEqual(['a 1']);
  });

  it('keeps one that is removed while pinned until its last pin goes, whatever is loaded in its place', () => {
    const { residents, left } = room();
    residents.add(resident('a'));
    const pins = [residents.pin('a')!, residents.pin('a')!];
    residents.remove('a');
    residents.add(resident('a', 4 * MIB, 2));
    expect(residents.pin('a')?.resident.handle).toBe('a 2');
    pins[0]!.release();
    expect(left).toEqual([]);
    pins[1]!.release();
    expect(left).toEqual(['a 1']);
  });
});

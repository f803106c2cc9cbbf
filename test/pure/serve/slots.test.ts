import { describe, expect, it } from 'vitest';
import { BASE_SLOT, SlotTable } from '../../../gpu-node/serve/slots.ts';

describe('SlotTable', () => {
  it('gives every adapter a slot of its own, none of them the base', () => {
    const { slots, load } = new SlotTable(3).place(['a', 'b', 'c']);
    expect(new Set(slots.values()).size).toBe(3);
    expect([...slots.values()]).not.toContain(BASE_SLOT);
    expect(load.map(({ adapter }) => adapter)).toEqual(['a', 'b', 'c']);
  });

  it('loads an adapter once while it stays', () => {
    const table = new SlotTable(2);
    const first = table.place(['a', 'b']);
    const second = table.place(['b', 'a', 'b']);
    expect(second.load).toEqual([]);
    expect(second.slots.get('a')).toBe(first.slots.get('a'));
  });

  it('evicts the least recently used', () => {
    const table = new SlotTable(2);
    table.place(['a']);
    table.place(['b']);
    table.place(['a']);
    table.place(['c']);
    expect(table.resident).toEqual(['a', 'c']);
  });

  it('never evicts an adapter of the batch being placed', () => {
    const table = new SlotTable(2);
    table.place(['a']);
    table.place(['b']);
    const { slots } = table.place(['c', 'a']);
    expect(new Set(slots.values()).size).toBe(2);
    expect(table.resident.sort()).toEqual(['a', 'c']);
  });

  it('reuses the slot of a dropped adapter', () => {
    const table = new SlotTable(1);
    table.place(['a']);
    table.drop('a');
    table.drop('never there');
    expect(table.place(['b']).load).toEqual([{ adapter: 'b', slot: 1 }]);
  });

  it('says how many slots there are to a batch that does not fit', () => {
    expect(() => new SlotTable(1).place(['a', 'b'])).toThrow('2 adapters, the node has 1 slots');
  });
});

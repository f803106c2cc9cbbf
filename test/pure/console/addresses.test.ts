import { describe, expect, it } from 'vitest';
import { addressOf, placeOf } from '../../../console/addresses.ts';

const at = (address: string) => placeOf(new URL(address, 'http://edge.test'));

describe('an address of the console', () => {
  it('names a place and what is looked at there, and is read as it was written', () => {
    expect(addressOf('adapters', 'spam.v2@3')).toBe('/console/adapters/spam.v2@3');
    expect(at('/console/adapters/spam.v2@3')).toMatchObject({ name: 'adapters', id: 'spam.v2@3' });
    expect(at(addressOf('data', 'a/b?c#d'))).toMatchObject({ name: 'data', id: 'a/b?c#d' });
  });

  it('keeps how it is looked at in its query', () => {
    const address = addressOf('adapters', undefined, { adapters: 'a@1,b@2', file: '' });
    expect(at(address).query.get('adapters')).toBe('a@1,b@2');
    expect(at(address).query.has('file')).toBe(false);
  });

  it('leads to the adapters from the root, and nowhere from an unknown one', () => {
    expect(at('/console/').name).toBe('adapters');
    expect(at('/console/training/').name).toBe('training');
    expect(at('/console/nothing').name).toBe('unknown');
    expect(at('/console/data/a/b').name).toBe('unknown');
    expect(at('/console/adapters/%E0%A4%A').id).toBe('%E0%A4%A');
  });
});

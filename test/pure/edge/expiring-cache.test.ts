import { expect, it } from 'vitest';
import { ExpiringCache } from '../../../edge/expiring-cache.ts';

it('forgets an entry when its time is over, counted from when it was set last', () => {
  let now = 0;
  const cache = new ExpiringCache<number>({ ttlMs: 10, max: 9, now: () => now });
  cache.set('a', 1);
  now = 6;
  cache.set('a', 2);
  now = 15;
  expect(cache.get('a')).toBe(2);
  now = 16;
  expect(cache.get('a')).toBeUndefined();
});

it('holds no more than its limit: the one set longest ago goes', () => {
  const cache = new ExpiringCache<number>({ ttlMs: 10, max: 2, now: () => 0 });
  for (const key of ['a', 'b', 'a', 'c']) cache.set(key, 1);
  expect(['a', 'b', 'c'].map((key) => cache.get(key))).toEqual([1, undefined, 1]);
});

it('forgets what it is told to', () => {
  const cache = new ExpiringCache<number>({ ttlMs: 10, max: 9, now: () => 0 });
  for (const key of ['a', 'b']) cache.set(key, 1);
  cache.delete('a');
  expect([cache.get('a'), cache.get('b')]).toEqual([undefined, 1]);
  cache.clear();
  expect(cache.get('b')).toBeUndefined();
});

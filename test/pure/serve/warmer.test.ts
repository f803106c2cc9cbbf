import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Warmer } from '../../../gpu-node/serve/warmer.ts';

/** A warmer whose loads end one by one; `failing` fails. Without a `rest` it takes none. */
function warmer(rest = () => Promise.resolve()) {
  const under = new Map<string, () => void>();
  const begun: string[] = [];
  const failed: string[] = [];
  const options = {
    load: (bundle: string) =>
      new Promise<void>((resolve, reject) => {
        begun.push(bundle);
        under.set(bundle, () => (bundle === 'failing' ? reject(new Error('broken')) : resolve()));
      }),
    onFailure: (bundle: string) => failed.push(bundle),
    rest,
  };
  return { warmer: new Warmer(options), end: (bundle: string) => under.get(bundle)!(), begun, failed };
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `bundle ${i}`);

it('a few adapters are warmed at once, in the order they were asked for', async () => {
  const { warmer: warms, end, begun } = warmer();
  expect(warms.add(names(6))).toBe(6);
  await expect.poll(() => begun).toEqual(names(4));
  end('bundle 2');
  await expect.poll(() => begun).toEqual(names(5));
});

it('a failure is told, and keeps nothing behind it from being loaded', async () => {
  const { warmer: warms, end, begun, failed } = warmer();
  warms.add(['failing', ...names(4)]);
  expect(begun).toEqual(['failing']);
  end('failing');
  await expect.poll(() => begun).toEqual(['failing', ...names(4)]);
  expect(failed).toEqual(['failing']);
});

it('rests after it has begun to load one, however soon that is done', async () => {
  let rested = () => {};
  const { warmer: warms, end, begun } = warmer(() => new Promise((resolve) => (rested = resolve)));
  warms.add(names(3));
  end('bundle 0');
  await nextTurn();
  expect(begun).toEqual(names(1));
  rested();
  await nextTurn();
  expect(begun).toEqual(names(2));
});

it('no more wait than there is room for, each once', () => {
  const { warmer: warms } = warmer();
  const accepted = [names(600), names(600), [...names(1000), 'one', 'too', 'many', 'now', 'and', 'then']];
  expect(accepted.map((bundles) => warms.add(bundles))).toEqual([600, 600, 1000]);
});

import { expect, it } from 'vitest';
import { RateMeter } from '../../edge/rate-meter.ts';

const START = 1_000 * 60_000;

function meterAt(start = START) {
  const clock = { ms: start };
  return { clock, meter: new RateMeter(() => clock.ms) };
}

it('counts each tenant by itself, and begins anew with each minute of the clock', () => {
  const { clock, meter } = meterAt(START + 45_000);
  meter.add('a', { requests: 1 });
  meter.add('a', { tokens: 7 });
  meter.add('b', { requests: 1 });
  expect(meter.sum('a')).toEqual({ used: { requests: 1, tokens: 7 }, resetsIn: 15 });
  clock.ms = START + 60_000;
  expect(meter.sum('a')).toEqual({ used: { requests: 0, tokens: 0 }, resetsIn: 60 });
});

it('notes what it counted at once and then no oftener than every five seconds', () => {
  const { clock, meter } = meterAt();
  meter.add('a', { requests: 2 });
  expect(meter.takeUntold('a')).toEqual({ minute: 1_000, counted: { requests: 2, tokens: 0 } });
  meter.add('a', { requests: 1 });
  clock.ms += 4_999;
  expect(meter.takeUntold('a')).toBeUndefined();
  clock.ms += 1;
  expect(meter.takeUntold('a')).toEqual({ minute: 1_000, counted: { requests: 1, tokens: 0 } });
  expect(meter.sum('a').used.requests).toBe(3);
});

it('knows what others counted as soon as it has noted its part, and keeps what it counted meanwhile', () => {
  const { clock, meter } = meterAt();
  meter.add('a', { requests: 2 });
  meter.takeUntold('a');
  meter.add('a', { requests: 1 });
  meter.learn('a', 1_000, { requests: 10, tokens: 5 });
  expect(meter.sum('a').used).toEqual({ requests: 11, tokens: 5 });
  clock.ms += 60_000;
  meter.learn('a', 1_000, { requests: 12, tokens: 5 });
  expect(meter.sum('a').used).toEqual({ requests: 0, tokens: 0 });
});

it('exceeds a limit over two isolates by no more than they take between two notes', () => {
  const clock = { ms: START };
  const meters = [new RateMeter(() => clock.ms), new RateMeter(() => clock.ms)];
  let stored = 0;
  let taken = 0;
  for (let second = 0; second < 60; second++, clock.ms += 1_000) {
    for (const meter of meters) {
      for (let i = 0; i < 10 && meter.sum('a').used.requests < 300; i++, taken++)
        meter.add('a', { requests: 1 });
      const told = meter.takeUntold('a');
      if (!told) continue;
      stored += told.counted.requests;
      meter.learn('a', told.minute, { requests: stored, tokens: 0 });
    }
  }
  expect(taken).toBeGreaterThanOrEqual(300);
  expect(taken).toBeLessThan(300 + 2 * 10 * 5);
});

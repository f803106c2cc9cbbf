import { expect, it } from 'vitest';
import { ProgressMeter } from '../../../gpu-node/train/progress.ts';

it('tells step, epoch, rate and time left', () => {
  let now = 1000;
  const meter = new ProgressMeter(8, 4, () => now);
  now += 2000;
  meter.advance(300, 0.7);
  now += 2000;
  expect(meter.advance(500, 0.5)).toEqual({
    step: 2,
    steps: 8,
    epoch: 1,
    loss: 0.5,
    tokens_per_second: 200,
    eta_seconds: 12,
  });
  expect(meter.tokens).toBe(800);
});

it('goes back, and keeps its rate', () => {
  let now = 0;
  const meter = new ProgressMeter(8, 4, () => now);
  now = 2000;
  meter.advance(100, 9);
  meter.advance(100, 9);
  meter.moveTo(0);
  now = 4000;
  expect(meter.advance(200, 0.7)).toMatchObject({ step: 1, steps: 8, epoch: 0.5, tokens_per_second: 100 });
  now = 8000;
  expect(meter.advance(400, 0.7)).toMatchObject({ step: 2, eta_seconds: 12 });
});

it('goes on from where another was, without the time in between', () => {
  let now = 0;
  const first = new ProgressMeter(8, 4, () => now);
  now = 2000;
  first.advance(100, 9);
  const { state } = first;
  now = 50_000;
  const second = new ProgressMeter(8, 4, () => now);
  second.restore(state);
  now = 52_000;
  expect(second.advance(300, 0.7)).toMatchObject({ step: 2, tokens_per_second: 100, eta_seconds: 12 });
  expect(second.tokens).toBe(400);
});

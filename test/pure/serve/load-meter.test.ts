import { expect, it } from 'vitest';
import { LoadMeter } from '../../../gpu-node/serve/load-meter.ts';
import { ServeMetrics } from '../../../gpu-node/serve/metrics.ts';

function metered() {
  const metrics = new ServeMetrics(1);
  const clock = { now: 0 };
  const samples = () => ({
    answer_seconds: metrics.answers,
    batch_adapters: metrics.batchAdapters,
    batch_fill_ratio: metrics.batchFill,
    classify_rows_total: metrics.rows,
    queue_rows: 3,
    adapters_resident: { slot: 1, memory: 2, disk: 5 },
  });
  const answer = (milliseconds: number) =>
    metrics.answered({ queue: 0, load: 0, tokenize: 0, run: milliseconds }, milliseconds);
  return { metrics, clock, answer, meter: new LoadMeter(samples, () => clock.now) };
}

it('says nothing of times where nothing was asked', () => {
  const { meter, clock } = metered();
  clock.now = 1000;
  expect(meter.read()).toEqual({
    requests_per_second: 0,
    texts_per_second: 0,
    p50_ms: null,
    p99_ms: null,
    batch_fill: null,
    batch_adapters: null,
    queue: 3,
    resident: { slot: 1, memory: 2, disk: 5 },
  });
});

it('counts answers a second, and where half and all but a hundredth of them lie', () => {
  const { meter, clock, answer, metrics } = metered();
  for (let i = 0; i < 98; i++) answer(4);
  answer(60);
  answer(60);
  metrics.batchFill.observe(0.5);
  metrics.batchFill.observe(1);
  metrics.batchAdapters.observe(1);
  metrics.batchAdapters.observe(4);
  clock.now = 5000;
  const load = meter.read();
  expect(load.requests_per_second).toBe(20);
  expect(load.p50_ms).toBeGreaterThan(2.5);
  expect(load.p50_ms).toBeLessThan(5);
  expect(load.p99_ms).toBeGreaterThan(50);
  expect(load.p99_ms).toBeLessThan(100);
  expect(load.batch_fill).toBe(0.75);
  expect(load.batch_adapters).toBe(2.5);
});

it('forgets what is older than two windows', () => {
  const { meter, clock, answer } = metered();
  answer(4);
  for (clock.now = 2000; clock.now <= 30_000; clock.now += 2000) meter.read();
  expect(meter.read()).toMatchObject({ requests_per_second: 0, p50_ms: null });
});

it('gives the last bound for what is slower than all', () => {
  const { meter, clock, answer } = metered();
  answer(120_000);
  clock.now = 1000;
  expect(meter.read().p50_ms).toBe(30_000);
});

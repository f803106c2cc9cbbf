import { describe, expect, it } from 'vitest';
import { Histogram, prometheusText } from '../../../gpu-node/serve/prometheus.ts';
import { parseExposition } from '../../support/exposition.ts';

describe('Histogram', () => {
  it('counts a value in the first bucket that is not below it, and beyond the last', () => {
    const histogram = new Histogram([1, 10]);
    for (const value of [0, 1, 1.5, 10, 11, 100]) histogram.observe(value);
    expect(histogram.cumulative).toEqual([2, 4, 6]);
    expect(histogram.sum).toBe(123.5);
  });
});

describe('prometheusText', () => {
  const latency = new Histogram([0.1, 1]);
  for (const value of [0.05, 0.5, 5]) latency.observe(value);
  const metrics = {
    asked_total: { kind: 'counter', help: 'Asked.' },
    held: { kind: 'gauge', help: 'Held.', label: 'tier' },
    seconds: { kind: 'histogram', help: 'Seconds.' },
    stage_seconds: { kind: 'histogram', help: 'Seconds of a stage.', label: 'stage' },
  } as const;
  const text = prometheusText(metrics, {
    asked_total: 7,
    held: { disk: 3, 'a "quoted"\\\n tier': 1e-7 },
    seconds: new Histogram([1]),
    stage_seconds: { run: latency },
  });

  it('writes what a scraper reads', () => {
    const families = parseExposition(text);
    expect([...families.keys()]).toEqual(Object.keys(metrics).map((name) => `weft_${name}`));
    expect([...families.get('weft_asked_total')!.series]).toEqual([['{}', 7]]);
    expect([...families.get('weft_held')!.series.values()]).toEqual([3, 1e-7]);
    expect([...families.get('weft_seconds')!.series.values()]).toEqual([0, 0, 0, 0]);
  });

  it("counts a histogram's buckets up to all of its values", () => {
    expect([...parseExposition(text).get('weft_stage_seconds')!.series]).toEqual([
      ['_bucket{stage="run",le="0.1"}', 1],
      ['_bucket{stage="run",le="1"}', 2],
      ['_bucket{stage="run",le="+Inf"}', 3],
      ['_sum{stage="run"}', 5.55],
      ['_count{stage="run"}', 3],
    ]);
  });
});

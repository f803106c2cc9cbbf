import { describe, expect, it } from 'vitest';
import { inRequests, timingOf } from '../../../console/api/classify.ts';
import { MAX_CLASSIFY_BYTES, MAX_INPUTS } from '../../../shared/api/inference.ts';

describe('rows to classify', () => {
  it('go in requests that the API takes, each row once and in order', () => {
    const rows = Array.from({ length: 700 }, (_, i) => ({ text: `${i} ${'\u0001'.repeat(i * 40)}` }));
    const parts = [...inRequests(rows)];
    expect(parts.flat()).toEqual(rows);
    for (const part of parts) {
      expect(part.length).toBeLessThanOrEqual(MAX_INPUTS);
      const sent = part.map(({ text }) => ({
        model: `${'x'.repeat(63)}@999999999`,
        text: text.slice(0, 20_000),
      }));
      expect(JSON.stringify({ input: sent }).length).toBeLessThanOrEqual(MAX_CLASSIFY_BYTES);
    }
  });

  it('of any length make one request each', () => {
    expect([...inRequests([{ text: 'x'.repeat(1_000_000) }, { text: 'y' }])]).toHaveLength(1);
    expect([...inRequests([])]).toEqual([]);
  });
});

it('reads the stages of Server-Timing in their order', () => {
  expect(timingOf('edge;dur=1.5, queue;dur=0.0,run;dur=12')).toEqual([
    ['edge', 1.5],
    ['queue', 0],
    ['run', 12],
  ]);
  expect(timingOf('')).toEqual([]);
});

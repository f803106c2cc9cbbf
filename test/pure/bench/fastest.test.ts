import { describe, expect, it } from 'vitest';
import { fastestPrecision, type Timed } from '../../../bench/fastest.ts';

/** Sides whose runs take what is listed, again and again; counts their runs, and whether each was ended. */
function sides(ms: Readonly<Record<string, readonly number[]>>) {
  const runs: Record<string, number> = {};
  const ended: string[] = [];
  const start = async (precision: string): Promise<Timed> => {
    runs[precision] = 0;
    return {
      run: async () => ms[precision]![Math.min(runs[precision]!++, ms[precision]!.length - 1)]!,
      stop: async () => {
        ended.push(precision);
      },
    };
  };
  return { start, runs, ended };
}

describe("a peer's precision", () => {
  it('is the one with the shortest run, the first of each not counted, and says why', async () => {
    const { start, ended } = sides({ fp32: [10, 50], autocast: [90, 40], bf16: [200, 60] });
    const lines: string[] = [];
    const print = (line: string) => lines.push(line);
    expect(await fastestPrecision('peer', ['fp32', 'autocast', 'bf16'], start, print)).toBe('autocast');
    expect(lines).toEqual([
      'peer is measured in autocast, where it is fastest here: fp32 50 ms, autocast 40 ms, bf16 60 ms a batch',
    ]);
    expect(ended).toEqual(['fp32', 'autocast', 'bf16']);
  });

  it('is not tried again where its first run is many times as long', async () => {
    const { start, runs, ended } = sides({ fp32: [50], bf16: [2000] });
    expect(await fastestPrecision('peer', ['fp32', 'bf16'], start, () => {})).toBe('fp32');
    expect(runs).toEqual({ fp32: 4, bf16: 1 });
    expect(ended).toEqual(['fp32', 'bf16']);
  });
});

import { describe, expect, it } from 'vitest';
import { WeightAverage } from '../../../gpu-node/train/weight-average.ts';

/** A tensor of one element that takes the given values in turn, and the average after each. */
async function averagesOf(values: readonly number[]): Promise<number[]> {
  const data = Float32Array.of(0);
  const average = new WeightAverage([{ data }]);
  const averages: number[] = [];
  for (const value of values) {
    data[0] = value;
    average.update();
    averages.push(await average.during(async () => data[0]!));
  }
  return averages;
}

describe('the average of the weights', () => {
  it('spans few steps at first, and forgets where it started', async () => {
    const [first, second] = await averagesOf([1, 1]);
    expect(first).toBeCloseTo(9 / 11, 6);
    expect(second).toBeCloseTo(1 - (2 / 11) * (3 / 12), 6);
  });

  it('keeps 98 of 100 parts of itself at each of many steps', async () => {
    const steps = 500;
    const averages = await averagesOf([...Array(steps).fill(1), ...Array(50).fill(0)]);
    expect(averages[steps - 1]).toBeCloseTo(1, 6);
    expect(averages.at(-1)).toBeCloseTo(0.98 ** 50, 5);
  });

  it('takes the place of the weights only for a while, also where that fails', async () => {
    const data = Float32Array.of(1, 2);
    const average = new WeightAverage([{ data }]);
    data.set([3, 4]);
    await expect(average.during(() => Promise.reject(new Error('stopped')))).rejects.toThrow('stopped');
    expect([...data]).toEqual([3, 4]);
    expect(await average.during(async () => [...data])).toEqual([1, 2]);
  });
});

import type { Random } from '../../gpu-node/random.ts';

/** Draws ranks in [0, n), rank k as often as 1 / (k + 1)^exponent. */
export function zipf(n: number, exponent: number): (random: Random) => number {
  const cumulative = new Float64Array(n);
  let total = 0;
  for (let k = 0; k < n; k++) {
    total += (k + 1) ** -exponent;
    cumulative[k] = total;
  }
  return (random) => firstAbove(cumulative, random.uniform() * total);
}

function firstAbove(cumulative: Float64Array, value: number): number {
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (cumulative[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

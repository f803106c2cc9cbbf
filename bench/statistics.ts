/** The value at a fraction of the sorted numbers, without interpolation. */
export function quantile(numbers: readonly number[], fraction: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))]!;
}

export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

export function quartiles(numbers: readonly number[]): [low: number, high: number] {
  return [quantile(numbers, 0.25), quantile(numbers, 0.75)];
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

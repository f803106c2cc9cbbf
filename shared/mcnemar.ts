/**
 * The p-value of McNemar's test in its exact form (Fagerland, Lydersen & Laake 2013): two-sided, from the binomial distribution of the rows
 * that exactly one of two classifiers has right. It needs no approximation, however few or many they are.
 *
 * @param first rows that only the first has right
 * @param second rows that only the second has right
 */
export function mcnemar(first: number, second: number): number {
  const rows = first + second;
  const fewer = Math.min(first, second);
  if (first === second) return 1;
  // P(X = fewer) in logarithms, as it may be below the smallest number; the terms below it by their ratios.
  let logarithm = -rows * Math.LN2;
  for (let i = 1; i <= fewer; i++) logarithm += Math.log((rows - fewer + i) / i);
  let [term, sum] = [1, 1];
  for (let i = fewer; i > 0 && term > Number.EPSILON * sum; i--) {
    term *= i / (rows - i + 1);
    sum += term;
  }
  return Math.min(1, 2 * sum * Math.exp(logarithm));
}

const LEVELS = '▁▂▃▄▅▆▇█';

/** Values as one row of at most `cells` characters, from the smallest (▁) to the largest (█); many values share a cell by their mean. */
export function sparkline(values: readonly number[], cells: number): string {
  const means = meansOf(values.filter(Number.isFinite), cells);
  const [low, high] = [Math.min(...means), Math.max(...means)];
  const levelOf = (value: number) =>
    high === low ? 0 : Math.round(((value - low) / (high - low)) * (LEVELS.length - 1));
  return means.map((value) => LEVELS[levelOf(value)]).join('');
}

function meansOf(values: readonly number[], cells: number): readonly number[] {
  if (values.length <= cells) return values;
  return Array.from({ length: cells }, (_, cell) => {
    const from = Math.floor((cell * values.length) / cells);
    const part = values.slice(from, Math.floor(((cell + 1) * values.length) / cells));
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}

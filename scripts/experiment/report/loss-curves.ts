import type { Result } from '../result.ts';
import { mean } from '../statistics.ts';
import type { Point, Series } from './chart.ts';

/** Points in a line of step losses; more would show the noise of single batches. */
const BINS = 40;

/** A solid line of step losses and a dashed one of epoch losses, each the mean over the runs that got so far. */
export function lossPanel(name: string, results: readonly Result[]): Series[] {
  const trained = binned(results.map(({ measured }) => measured.losses));
  const validated = byEpoch(results);
  return [
    { name, points: trained },
    { name, points: validated, dashed: true },
  ].filter(({ points }) => points.length > 0);
}

function binned(runs: readonly (readonly (readonly [number, number])[])[]): Point[] {
  const longest = Math.max(0, ...runs.flatMap((points) => points.map(([epoch]) => epoch)));
  const width = longest / BINS || 1;
  const bins = Map.groupBy(runs.flat(), ([epoch]) => Math.min(BINS - 1, Math.floor(epoch / width)));
  return [...bins]
    .sort(([a], [b]) => a - b)
    .map(([, points]) => ({ x: mean(points.map(([x]) => x)), y: mean(points.map(([, y]) => y)) }));
}

function byEpoch(results: readonly Result[]): Point[] {
  const epochs = Map.groupBy(
    results.flatMap(({ measured }) => measured.epochs),
    ({ epoch }) => epoch,
  );
  return [...epochs]
    .sort(([a], [b]) => a - b)
    .flatMap(([x, all]) => {
      const losses = all.flatMap(({ valid_loss }) => valid_loss ?? []);
      return losses.length > 0 ? [{ x, y: mean(losses) }] : [];
    });
}

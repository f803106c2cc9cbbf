import type { Family } from '../../shared/families.ts';
import type { Value } from '../graph/ir.ts';
import type { Head } from './model.ts';

/** A family's classification head: every layer but the last keeps the width, and `activation` stands between two. */
export function classificationHead(
  { head }: Family,
  width: number,
  initialDeviation: number,
  activation: (x: Value) => Value,
): Head {
  const layers = head.map((name, i) => {
    const outFeatures = i === head.length - 1 ? ('labels' as const) : width;
    return { name, inFeatures: width, outFeatures };
  });
  return { layers, initialDeviation, activation };
}

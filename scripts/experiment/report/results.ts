import type { Result } from '../result.ts';
import type { Planned } from '../run-all.ts';
import { mean } from '../statistics.ts';

/** One value per seed that has it. */
export type BySeed = ReadonlyMap<number, number>;

export interface Point {
  readonly configuration: string;
  readonly set?: string;
  readonly shots?: number | null;
}

/** The finished runs of a plan. */
export class Results {
  readonly all: readonly Result[];
  /** Names of the plan's sets. */
  readonly sets: readonly string[];
  readonly #planned: number;

  constructor(plan: readonly Planned[]) {
    this.all = plan.flatMap(({ result }) => result ?? []);
    this.sets = [...new Set(plan.map(({ run }) => run.set))];
    this.#planned = plan.length;
  }

  /** Number of runs that have not finished. */
  get missing(): number {
    return this.#planned - this.all.length;
  }

  /** Results of a configuration by seed, optionally of one set or number of examples. */
  of({ configuration, set, shots }: Point): Result[] {
    return this.all.filter(
      ({ run }) =>
        run.configuration === configuration &&
        (set === undefined || run.set === set) &&
        (shots === undefined || run.shots === shots),
    );
  }

  /** Weighted F1 in percent by seed, for one set and number of examples. */
  f1(point: Point): BySeed {
    return new Map(this.of(point).map(({ run, measured }) => [run.seed, 100 * measured.metrics.f1]));
  }

  /** F1 averaged over the sets, for each seed that has finished all of them. */
  meanF1(configuration: string, shots: number | null = null): BySeed {
    const bySeed = [...Map.groupBy(this.of({ configuration, shots }), ({ run }) => run.seed)];
    const whole = bySeed.filter(([, { length }]) => length === this.sets.length);
    const meanOf = (results: readonly Result[]) =>
      mean(results.map(({ measured }) => 100 * measured.metrics.f1));
    return new Map(whole.map(([seed, results]) => [seed, meanOf(results)]));
  }
}

/** `a` minus `b`, seed by seed: equal seeds draw the same rows for both. */
export function differences(a: BySeed, b: BySeed): number[] {
  return [...a].flatMap(([seed, value]) => (b.has(seed) ? [value - b.get(seed)!] : []));
}

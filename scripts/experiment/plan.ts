import { type Configuration, FACTORS, fieldOf, shownValue, withField } from './configurations.ts';
import type { Options } from './options.ts';
import type { Run } from './result.ts';

/** All of the examples are one draw: the curve's end takes as many seeds as the accuracy table, whose runs they are. */
const SEEDS_OF_ALL = 5;

/** A setting changed: what an ablation's row is about. */
export interface Variation {
  readonly factor: string;
  readonly value: unknown;
  readonly configuration: Configuration;
  /** Whether the value is the centre's own, so that nothing is changed. */
  readonly isCentre: boolean;
}

/**
 * Every variation of a configuration by one factor at a time. A centre that leaves a factor to `"auto"` is a row of its own beside the
 * given values.
 */
export function variationsOf(centre: Configuration, factors: readonly string[]): Variation[] {
  return factors.flatMap((factor) => {
    const own = fieldOf(centre.settings, factor) ?? 'auto';
    const given = FACTORS[factor]!;
    const values = given.some((value) => same(value, own)) ? given : [own, ...given];
    return values.map((value) => {
      const isCentre = same(value, own);
      const settings = isCentre ? centre.settings : withField(centre.settings, factor, value);
      const name = isCentre ? centre.name : `${centre.name} ${factor}=${shownValue(value)}`;
      return { factor, value, isCentre, configuration: { ...centre, name, settings } };
    });
  });
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The runs of a command, seed by seed, so that a table of fewer seeds is whole while the rest is under way. */
export function runsOf(options: Options): Run[] {
  return options.seeds.flatMap((seed) =>
    configurationsOf(options).flatMap((configuration) =>
      options.sets.flatMap((set) =>
        shotsOf(options, seed).map((shots) => runOf(configuration, { set, seed, shots }, options)),
      ),
    ),
  );
}

function configurationsOf({ mode, configurations, factors }: Options): readonly Configuration[] {
  if (mode !== 'ablation') return configurations;
  const all = configurations.flatMap((centre) => variationsOf(centre, factors));
  return [...new Map(all.map(({ configuration }) => [configuration.name, configuration])).values()];
}

function shotsOf({ shots }: Options, seed: number): readonly (number | null)[] {
  return seed <= SEEDS_OF_ALL ? shots : shots.filter((each) => each !== null);
}

/** One run of a configuration. */
export function runOf(
  { name, engine, settings }: Configuration,
  point: { readonly set: string; readonly seed: number; readonly shots: number | null },
  { protocol, limit }: Pick<Options, 'protocol' | 'limit'>,
): Run {
  return { configuration: name, engine, settings, ...point, protocol, limit };
}

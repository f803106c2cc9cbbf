import { type Configuration, FACTORS, fieldOf, shownValue, withField } from './configurations.ts';
import type { Options } from './options.ts';
import type { Run } from './result.ts';

/** Seeds of runs on all examples, which need no draws: as many as in the accuracy table, which has the same runs. */
const SEEDS_OF_ALL = 5;

/** One changed setting: the subject of an ablation's row. */
export interface Variation {
  readonly factor: string;
  readonly value: unknown;
  readonly configuration: Configuration;
  /** True if the value is the centre's own, so that nothing changes. */
  readonly isCentre: boolean;
}

/** Every variation of a configuration by one factor at a time. A centre with a factor on `"auto"` gets a row beside the given values. */
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

/** The runs of a command, seed by seed, so that a table of fewer seeds is complete while the rest runs. */
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

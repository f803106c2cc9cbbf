/** Timed runs of a candidate, of which the shortest counts; the first, which allocates, is none of them. */
const RUNS = 3;
/** A candidate whose first run takes so many times the best run so far has no others. */
const HOPELESS = 8;

/** What is timed, such as a process of a peer. */
export interface Timed {
  /** Runs once; gives its milliseconds. */
  run(): Promise<number>;
  stop(): Promise<unknown>;
}

/**
 * The precision in which a side is fastest on this machine, by a few runs of each; says which and why. It cannot be known before: bf16 is
 * twice as fast as fp32 where a processor multiplies it, and emulated, many times slower, where it does not.
 */
export async function fastestPrecision<P extends string>(
  side: string,
  precisions: readonly P[],
  start: (precision: P) => Promise<Timed>,
  print: (line: string) => void = console.log,
): Promise<P> {
  const times = new Map<P, number>();
  for (const precision of precisions) {
    times.set(precision, await shortest(await start(precision), Math.min(...times.values())));
  }
  const fastest = precisions.reduce((best, each) => (times.get(each)! < times.get(best)! ? each : best));
  const figures = [...times].map(([precision, ms]) => `${precision} ${ms.toFixed(0)} ms`);
  print(`${side} is measured in ${fastest}, where it is fastest here: ${figures.join(', ')} a batch`);
  return fastest;
}

async function shortest(timed: Timed, best: number): Promise<number> {
  try {
    const first = await timed.run();
    if (first > HOPELESS * best) return first;
    let ms = Number.POSITIVE_INFINITY;
    for (let i = 0; i < RUNS; i++) ms = Math.min(ms, await timed.run());
    return ms;
  } finally {
    await timed.stop();
  }
}

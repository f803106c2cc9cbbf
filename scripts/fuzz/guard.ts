import { expect, prototypesNow } from './oracle.ts';
import type { Check } from './target.ts';

/** Most processor milliseconds of an input. Inputs have at most some megabytes, so whatever takes longer grows faster than its input. */
const MAX_CPU_MS = 3000;
/** Most bytes that the whole process may grow by from its start. */
const MAX_GROWTH_BYTES = 1.5e9;

/** Adds to a check: it also fails an input that takes too much time or memory, or changes what all objects inherit. */
export function guarded(check: Check): Check {
  const before = prototypesNow();
  const bytesBefore = process.memoryUsage.rss();
  return async (choices) => {
    const started = process.threadCpuUsage();
    await check(choices);
    const { user, system } = process.threadCpuUsage(started);
    const milliseconds = (user + system) / 1000;
    expect(milliseconds < MAX_CPU_MS, `an input takes ${Math.round(milliseconds)} ms of the processor`);
    expect(prototypesNow() === before, "an input has changed the language's own prototypes");
    const grown = process.memoryUsage.rss() - bytesBefore;
    expect(grown < MAX_GROWTH_BYTES, `memory has grown by ${Math.round(grown / 1e6)} MB`);
  };
}

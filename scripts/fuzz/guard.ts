import { expect, prototypesNow } from './oracle.ts';
import type { Check } from './target.ts';

/** Processor time of an input: none is larger than some megabytes, so that what takes longer grows faster than its input. */
const MAX_CPU_MS = 3000;
/** The process as a whole, beyond what it had at the start. */
const MAX_GROWTH_BYTES = 1.5e9;

/** The same check, which also finds fault with what takes too long or too much memory, or changes what all objects inherit. */
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

/** The figure on memory of the node daemon's process. */
import { type Bench, freshAdapters } from './bench.ts';
import { Daemon, LITTLE_MEMORY } from './daemon.ts';
import type { Measured } from './figure.ts';
import { LoadProcess } from './load.ts';
import { askEachOnce } from './throughput.ts';

/** Measures memory in MB, pages of mapped files included: a thousand adapters of r 8 known, each asked once, 64 slots and little memory. */
export async function ofManyAdapters(bench: Bench): Promise<Measured> {
  const adapters = await freshAdapters(bench, 1000, { precision: 'int8' });
  // The first daemon of a home is started and ended before, because compiling takes it more memory (docs/operations.md, Sizes).
  await (await Daemon.start(bench))[Symbol.asyncDispose]();
  await using daemon = await Daemon.start(bench, LITTLE_MEMORY);
  await using load = await LoadProcess.start();
  const before = await daemon.memory();
  await askEachOnce(bench, daemon, load, adapters);
  const after = await daemon.memory();
  const show = ({ anonymous, mapped }: typeof after) =>
    `${megabytes(anonymous)} MB private, ${megabytes(mapped)} MB of mapped files`;
  return {
    value: megabytes(after.anonymous + after.mapped),
    detail: [`at the start ${show(before)}`, `then ${show(after)}`],
  };
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

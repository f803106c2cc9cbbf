import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { duration } from '../../cli/terminal/progress.ts';
import type { EngineName } from './configurations.ts';
import type { Engine, ExperimentBase, Job } from './engine.ts';
import { type ProgressDisplay, TimeLeft } from './progress.ts';
import { keyOf, type Result, type Run } from './result.ts';
import type { DataFolder, RunData } from './rows.ts';
import type { ResultStore } from './store.ts';

/** Characters of text whose training takes as long as starting a run. */
const WORK_OF_A_START = 20_000;

/** A run of the plan, with its result once it has finished. */
export interface Planned {
  readonly run: Run;
  readonly data: RunData;
  readonly key: string;
  result: Result | undefined;
}

/** Reads every run's rows and finds the runs that have finished before; `sameCode` ignores results of other code. */
export async function planned(
  runs: readonly Run[],
  {
    data,
    base,
    store,
    sameCode,
  }: { data: DataFolder; base: ExperimentBase; store: ResultStore; sameCode?: string },
): Promise<Planned[]> {
  const all: Planned[] = [];
  for (const run of runs) {
    const rows = await data.of(run);
    const files = { base: base.sha256, training: rows.training.sha256, test: rows.test.sha256 };
    const key = keyOf(run, files);
    const kept = await store.read(key);
    const counts = kept && (sameCode === undefined || kept.code === sameCode || run.engine !== 'weft');
    all.push({ run, data: rows, key, result: counts ? { ...kept, run } : undefined });
  }
  return all;
}

export interface RunAllOptions extends Pick<Job, 'base' | 'device' | 'threads' | 'signal'> {
  readonly jobs: number;
  readonly code: string;
  readonly store: ResultStore;
  readonly display: ProgressDisplay;
  /** The folder in which runs get folders of their own. */
  readonly scratch: string;
  readonly engines: Readonly<Record<EngineName, Engine>>;
}

/**
 * Runs the unfinished runs, several at a time, and keeps each result as it comes. A failed run is reported and left out; returns how many
 * failed. @throws the signal's reason where it is aborted
 */
export async function runAll(plan: readonly Planned[], options: RunAllOptions): Promise<number> {
  const { display, signal } = options;
  const left = plan.filter(({ result }) => !result);
  const time = new TimeLeft();
  let failures = 0;
  const work = async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      signal.throwIfAborted();
      const name = nameOf(next.run);
      try {
        next.result = await measure(next, options);
        time.finished(next.run.configuration, workOf(next), next.result.measured.training_seconds);
        const finished = plan.filter(({ result }) => result).length;
        const rest = left.map((each) => ({ configuration: each.run.configuration, work: workOf(each) }));
        const seconds = time.estimate(rest);
        const eta = rest.length > 0 && seconds ? ` · all in about ${duration(seconds / options.jobs)}` : '';
        display.print(`${finished}/${plan.length} ${name}: ${summaryOf(next.result)}${eta}`);
      } catch (error) {
        signal.throwIfAborted();
        failures++;
        display.print(`FAILED ${name}: ${failureOf(error)}`);
      }
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: options.jobs }, work));
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
  return failures;
}

async function measure({ run, data, key }: Planned, options: RunAllOptions): Promise<Result> {
  const { base, device, threads, signal, display, code, store } = options;
  const folder = await mkdtemp(join(options.scratch, 'run-'));
  try {
    const onProgress: Job['onProgress'] = (progress) => display.update(nameOf(run), progress);
    const job = { run, data, base, folder, device, threads, signal, onProgress };
    const measured = await options.engines[run.engine].measure(job);
    const { id, parameters } = base;
    const result: Result = { format: 1, key, run, base: { id, parameters }, code, threads, measured };
    await store.write(result);
    return result;
  } finally {
    display.end(nameOf(run));
    await rm(folder, { recursive: true, force: true });
  }
}

export function nameOf({ configuration, set, seed, shots }: Run): string {
  return `${configuration} · ${set}${shots === null ? '' : ` · ${shots} a label`} · seed ${seed}`;
}

function workOf({ data }: Planned): number {
  return data.training.rows.reduce((sum, { text }) => sum + text.length, WORK_OF_A_START);
}

function summaryOf({ measured }: Result): string {
  const { metrics, epochs, training_seconds } = measured;
  const passes = epochs.length > 0 ? `, ${epochs.length} epochs` : '';
  return `F1 ${(100 * metrics.f1).toFixed(1)}${passes} in ${duration(training_seconds)}`;
}

/** The error's message, and the process's last words on stderr. */
function failureOf(error: unknown): string {
  const { message, detail } = error as { message?: string; detail?: string };
  return [message ?? String(error), detail].filter(Boolean).join('\n');
}

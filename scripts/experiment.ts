/**
 * Reproduces the published experiment: trains adapters on its six sets through the platform's own training process and serving, trains HF
 * PEFT and logistic regression on the same base model, and writes a report. Finished runs are kept, so repeating the command resumes it.
 * `npm run experiment -- --data FOLDER`
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLog } from '../gpu-node/log.ts';
import { locateBase } from './experiment/base.ts';
import { type Options, parseOptions, USAGE } from './experiment/options.ts';
import { runsOf } from './experiment/plan.ts';
import { ProgressDisplay } from './experiment/progress.ts';
import { PythonEngine } from './experiment/python-engine.ts';
import { writeReport } from './experiment/report.ts';
import { DataFolder } from './experiment/rows.ts';
import { nameOf, type Planned, planned, runAll } from './experiment/run-all.ts';
import { codeVersion, ResultStore } from './experiment/store.ts';
import { WeftEngine } from './experiment/weft-engine.ts';
import { homeFolder } from './home.ts';
import { libraryPython } from './parity/libraries.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

const options = readOptions();
if (options === 'help') console.log(USAGE);
else if (options) await main(options);

function readOptions(): Options | 'help' | undefined {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exitCode = 2;
    return undefined;
  }
}

async function main(options: Options): Promise<void> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Error('stopped')));
  process.once('SIGTERM', () => stop.abort(new Error('stopped')));
  try {
    await experiment(options, stop.signal);
  } catch (error) {
    if (stop.signal.aborted)
      console.error('stopped: what has finished is kept; the same command goes on from there');
    else console.error((error as Error).message);
    process.exitCode = stop.signal.aborted ? 130 : 1;
  }
}

async function experiment(options: Options, signal: AbortSignal): Promise<void> {
  const home = homeFolder();
  const folder = join(home, 'experiments', options.name);
  const store = await ResultStore.open(join(folder, 'results'));
  const data = await DataFolder.open(options.data, options.sets, join(folder, 'rows'));
  const base = await locateBase(options.base, home, createLog(process.stderr, true));
  const code = await codeVersion(ROOT);
  const runs = runsOf(options);
  const plan = await planned(runs, { data, base, store, ...(options.sameCode && { sameCode: code }) });
  announce(plan, code);
  if (options.plan) {
    for (const { run } of plan.filter(({ result }) => !result)) console.log(`  ${nameOf(run)}`);
    return;
  }

  const display = new ProgressDisplay(process.stdout);
  const scratch = await makeScratch(folder);
  const needsPython = plan.some(({ run, result }) => run.engine !== 'weft' && !result);
  const python = needsPython ? await libraryPython('peft', home) : '';
  const engines = {
    weft: new WeftEngine(join(scratch, 'served')),
    peft: new PythonEngine({ python, script: 'peft_peer.py', keeps: false }),
    logistic: new PythonEngine({ python, script: 'logistic_peer.py', keeps: true }),
  };
  const { device, threads, jobs } = options;
  try {
    const running = { base, device, threads, jobs, code, store, display, scratch, engines, signal };
    if ((await runAll(plan, running)) > 0) process.exitCode = 1;
  } finally {
    await Promise.all(Object.values(engines).map((engine) => engine.stop()));
    await rm(scratch, { recursive: true, force: true });
  }
  const report = options.report ?? join(folder, 'report');
  const files = await writeReport(report, { options, plan, base, command: commandOf(process.argv.slice(2)) });
  console.log(files.map((file) => `wrote ${file}`).join('\n'));
}

/** A folder of this process's own, so that several experiments may run at once. */
async function makeScratch(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  return mkdtemp(join(folder, 'scratch-'));
}

function announce(plan: readonly Planned[], code: string): void {
  const done = plan.filter(({ result }) => result);
  const older = done.filter(({ run, result }) => run.engine === 'weft' && result!.code !== code);
  const stale =
    older.length > 0
      ? `; ${older.length} by another version of the engine (--same-code trains them again)`
      : '';
  console.log(`${plan.length} runs, ${done.length} of them finished before${stale}`);
}

/** The command in a form that a reader of the report can repeat with a folder of their own. */
function commandOf(args: readonly string[]): string {
  const shown = args.map((arg, i) => (args[i - 1] === '--data' ? 'FOLDER' : arg));
  const quoted = shown.map((arg) => (/^[\w.,/=+:-]+$/.test(arg) ? arg : `"${arg}"`));
  return `npm run experiment -- ${quoted.join(' ')}`;
}

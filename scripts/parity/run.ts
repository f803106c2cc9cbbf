/**
 * Checks adapters both ways against HF PEFT and AdapterHub's `adapters`, through the parts that users meet: a training process trains, the
 * serving workers answer texts, and the library loads the same files.
 *
 *     npm run parity [-- BASE MODEL…]
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '../../gpu-node/log.ts';
import { locateBaseModel } from '../../gpu-node/weights/locate-base-model.ts';
import { LAYOUTS, type LayoutName } from '../../shared/adapter-format.ts';
import { virtualTokensOf } from '../../shared/methods/text-room.ts';
import type { PeftRequest } from '../../shared/peft-config.ts';
import { homeFolder } from '../home.ts';
import { quickstartTasks } from '../quickstart/data.ts';
import type { Cases } from './cases/case.ts';
import { BASES } from './cases/index.ts';
import { libraryPython } from './libraries.ts';
import { runCommand } from './python.ts';
import { adopt, exportMerged, MAX_LENGTH, type ParityBase, serve, trainHere } from './weft.ts';

/** Largest accepted difference of a log probability. */
const TOLERANCE = 1e-4;

const [task] = quickstartTasks();
const rows = task.train.slice(0, 64);
const texts = [...task.heldOut.slice(0, 10).map(({ text }) => text), 'Ünïcödé 你好 👍🏽 [SEP] x', 'short'];
const labels = ['ham', 'spam'];
const home = homeFolder();
const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !(name in BASES));
if (unknown !== undefined) {
  throw new Error(`there are no cases of ${unknown}, only of ${Object.keys(BASES).join(', ')}`);
}
const work = await mkdtemp(join(tmpdir(), 'weft-parity-'));
let failed = false;
try {
  for (const name of wanted.length > 0 ? wanted : Object.keys(BASES)) {
    for (const [library, cases] of Object.entries(BASES[name]!)) {
      await check(name, library as LayoutName, cases);
    }
  }
} finally {
  await rm(work, { recursive: true, force: true });
}
if (failed) {
  console.error(`parity is broken: log probabilities may differ by ${TOLERANCE}, and must tell texts apart`);
  process.exitCode = 1;
}

/** Checks the cases of one base model and one library. */
async function check(name: string, library: LayoutName, cases: Cases): Promise<void> {
  const python = await libraryPython(library, home);
  const { title } = LAYOUTS[library];
  const located = await locateBaseModel(name, { home, log: createLog(process.stderr, true) });
  const folder = join(work, located.id, library);
  const base: ParityBase = { ...located, weightsFolder: join(work, located.id, 'weights') };
  const methods = Object.values(cases.ours);
  const ours = Object.keys(cases.ours).map((each) => join(folder, 'ours', each));
  await trainAll(base, new Map(ours.map((each, i) => [each, methods[i]!])));
  const plan = { base: base.folder, texts, rows, labels, max_length: MAX_LENGTH, theirs: cases.theirs };
  await writeFile(join(folder, 'plan.json'), JSON.stringify(plan));
  const servedOurs = await serve(base, ours, texts, join(folder, 'cache'));
  await writeExpected(ours, servedOurs);
  // Neither trained tokens nor what AdapterHub's library has can be merged into weights.
  const mergeable = ours.filter((_, i) => library === 'peft' && virtualTokensOf(methods[i]!) === 0);
  await exportMerged(base, mergeable, join(folder, 'cache'));
  await runCommand(python, ['scripts/parity/parity.py', library, folder]);
  for (const [i, adapter] of ours.entries()) {
    const difference = await readJson(join(adapter, 'difference.json'));
    report(adapter, `trained by Weft, loaded by ${title}`, difference, servedOurs[i]!);
    if (!mergeable.includes(adapter)) continue;
    const merged = await readJson(join(adapter, 'merged-difference.json'));
    report(adapter, 'merged by Weft, loaded by transformers', merged, servedOurs[i]!);
  }

  const theirs = cases.theirs.map((each) => join(folder, 'theirs', each.name));
  for (const [i, { pooling }] of cases.theirs.entries()) {
    await adopt(theirs[i]!, {
      labels,
      pooling,
      max_length: MAX_LENGTH,
      base_model: base.id,
      base_model_sha256: base.sha256,
    });
  }
  const served = await serve(base, theirs, texts, join(folder, 'cache'));
  for (const [i, adapter] of theirs.entries()) {
    const { log_probabilities } = await readJson<{ log_probabilities: number[][] }>(
      join(adapter, 'expected.json'),
    );
    const difference = largestDifference(served[i]!, log_probabilities);
    report(adapter, `trained by ${title}, served by Weft`, difference, served[i]!);
  }
}

/** Trains an adapter of each method into its folder, two at once, as most of it is the start of a process. */
async function trainAll(base: ParityBase, methods: ReadonlyMap<string, PeftRequest>): Promise<void> {
  const left = [...methods];
  const work = async () => {
    for (let next = left.shift(); next; next = left.shift()) await trainHere(base, next[0], rows, next[1]);
  };
  await Promise.all([work(), work()]);
}

async function writeExpected(folders: readonly string[], served: readonly number[][][]): Promise<void> {
  for (const [i, adapter] of folders.entries()) {
    await writeFile(join(adapter, 'expected.json'), JSON.stringify({ log_probabilities: served[i] }));
  }
}

async function readJson<T = number>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, 'utf8')) as T;
}

function largestDifference(a: readonly number[][], b: readonly number[][]): number {
  return Math.max(...a.flatMap((row, i) => row.map((value, j) => Math.abs(value - b[i]![j]!))));
}

/** Reports a comparison. An adapter whose scores do not depend on the text would agree with anything, so they must tell texts apart. */
function report(adapter: string, what: string, difference: number, served: readonly number[][]): void {
  const first = served.map((row) => row[0]!);
  const range = Math.max(...first) - Math.min(...first);
  const fine = difference < TOLERANCE && range > 100 * TOLERANCE;
  failed ||= !fine;
  const figures = `largest difference ${difference.toExponential(1)} in a range of ${range.toFixed(2)}`;
  console.log(`${fine ? 'ok  ' : 'FAIL'} ${adapter.slice(work.length + 1)}: ${what}, ${figures}`);
}

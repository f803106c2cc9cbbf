/**
 * Gives made-up files to every reader of foreign input, and looks for anything but an answer or a refusal in words:
 *
 *     npm run fuzz -- [--minutes 2] [--seed 1] [--target adapter,dataset,…]
 *     npm run fuzz -- --replay .weft/fuzz/adapter-1.json
 *
 * The targets share the time, one after another. Each target's grammar makes inputs from choices, with faults; inputs that reach new code
 * are kept and changed. A finding is shrunk and written under `.weft/fuzz/`; `--replay` runs it again and shows its parts. The command ends
 * with code 1 if there is a finding.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Choices } from './fuzz/choices.ts';
import type { Finding } from './fuzz/engine.ts';
import { guarded } from './fuzz/guard.ts';
import { TARGETS } from './fuzz/targets.ts';
import { fuzzWatched } from './fuzz/watched.ts';
import { numberOptions } from './number-options.ts';

const FOLDER = '.weft/fuzz';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string', default: Object.keys(TARGETS).join() },
    replay: { type: 'string' },
  },
});
const { minutes, seed } = numberOptions(values, ['minutes', 'seed']);
const names = values.target.split(',');
for (const name of names) {
  if (!Object.hasOwn(TARGETS, name)) {
    throw new Error(`--target is ${JSON.stringify(name)}; known: ${Object.keys(TARGETS).join(', ')}`);
  }
}

if (values.replay === undefined) await fuzzAll();
else await replay(values.replay);

async function fuzzAll(): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  let findings = 0;
  for (const target of names) {
    const started = performance.now();
    const milliseconds = (60_000 * minutes) / names.length;
    const result = await fuzzWatched(target, seed, milliseconds, (finding) => {
      findings++;
      report(target, findings, finding);
    });
    const seconds = Math.round((performance.now() - started) / 1000);
    const done = result ? `${result.inputs} inputs, ${result.blocks} blocks reached` : 'ended early';
    console.log(`${target}: ${done}, ${seconds} s`);
  }
  console.log(`${findings} findings, seed ${seed}`);
  process.exitCode = findings > 0 ? 1 : 0;
}

function report(target: string, number: number, { message, choices }: Finding): void {
  const path = `${FOLDER}/${target}-${number}.json`;
  console.log(`${target}: ${message}\n  npm run fuzz -- --replay ${path}`);
  void writeFile(path, JSON.stringify({ target, choices }));
}

async function replay(path: string): Promise<void> {
  const { target, choices: given } = JSON.parse(await readFile(path, 'utf8')) as {
    target: string;
    choices: number[];
  };
  const choices = new Choices(given);
  const check = guarded(await TARGETS[target]!());
  try {
    await check(choices);
    console.log('nothing is found any more');
  } finally {
    for (const [name, value] of choices.notes) {
      console.log(
        `${name}:`,
        value instanceof Uint8Array ? JSON.stringify(Buffer.from(value).toString('latin1')) : value,
      );
    }
  }
  process.exit();
}

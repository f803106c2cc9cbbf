/**
 * Measures serving, each figure beside its peer, and holds it to an aim.
 *
 *     WEFT_PYTHON=.venv/bin/python node bench/serve.ts --data FOLDER [--only NAME,NAME] [--rounds 15] [--threads 2]
 *                                                      [--base ID|FOLDER]
 *
 * `--data` names a folder with JSONL files of `{"text", "label"}` lines, or a folder of such folders, one for each task.
 * Daemons, servers and whatever sends requests are processes of their own on this machine, and share its cores.
 */
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { RUNTIME_VERSION } from '../gpu-node/runtime/session.ts';
import { numberOptions } from '../scripts/number-options.ts';
import { openBench } from './serve/bench.ts';
import { verdict } from './serve/figure.ts';
import { FIGURES } from './serve/figures.ts';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    only: { type: 'string' },
    base: { type: 'string', default: 'minilm-l6-384' },
    rounds: { type: 'string', default: '15' },
    threads: { type: 'string', default: '2' },
    python: { type: 'string', default: process.env.WEFT_PYTHON ?? 'python3' },
  },
});
const names = FIGURES.map(({ name }) => name);
const wanted = values.only?.split(',') ?? names;
const unknown = wanted.find((name) => !names.includes(name));
if (unknown !== undefined) throw new Error(`there is no figure ${unknown}; there is ${names.join(', ')}`);
if (!values.data) throw new Error('serving is measured on real texts: --data FOLDER');

const { data, base, python } = values;
const bench = await openBench({
  data,
  base,
  python,
  ...numberOptions(values, ['threads', 'rounds']),
});
const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GiB`;
console.log(`machine   ${cpus()[0]?.model}, ${cpus().length} cores, ${memory}`);
console.log(`versions  node ${process.version}, onnxruntime ${RUNTIME_VERSION}`);
console.log(
  `shape     ${bench.source.id}, texts of ${data}, ${bench.threads} threads, ${bench.rounds} rounds\n`,
);
for (const figure of FIGURES.filter(({ name }) => wanted.includes(name))) {
  const { value, detail } = await figure.measure(bench);
  const unit = figure.unit ? ` ${figure.unit}` : '';
  console.log(`${figure.name.padEnd(24)}${value.toFixed(2)}${unit}${verdict(figure, value)}  ${figure.what}`);
  for (const line of detail) console.log(`${' '.repeat(24)}${line}`);
}

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { DEVICES, type Device } from '../../gpu-node/runtime/device.ts';
import { BASE_PRECISIONS } from '../../shared/peft-config.ts';
import {
  CONFIGURATIONS,
  type Configuration,
  FACTORS,
  METHODS,
  onPrecisions,
  parseVariant,
} from './configurations.ts';
import { PROTOCOLS, type Protocol } from './result.ts';
import { SETS } from './sets.ts';

export const MODES = {
  accuracy: 'configurations beside each other on every set',
  ablation: 'one configuration, one of its settings changed at a time',
  'few-shot': 'few examples of each label, against logistic regression',
  methods: 'every method beside each other, with few examples and with all, and what each costs',
} as const;
export type Mode = keyof typeof MODES;

/** Default of `--seeds`: trainings of each row, or draws of each number of examples. */
const SEEDS: Readonly<Record<Mode, number>> = { accuracy: 5, ablation: 3, 'few-shot': 10, methods: 3 };
const CONFIGURED: Readonly<Record<Mode, readonly string[]>> = {
  accuracy: ['auto', 'peft', 'peft-mean', 'logistic'],
  ablation: ['lora'],
  'few-shot': ['auto', 'logistic', 'logistic-normalized'],
  methods: METHODS.map(({ name }) => name),
};
/** Default of `--shots`: examples of each label, null for all. */
const SHOTS: Readonly<Record<Mode, readonly (number | null)[]>> = {
  accuracy: [null],
  ablation: [null],
  'few-shot': [8, 16, 32, 64, null],
  methods: [16, null],
};
const QUICK = { rows: 64, seeds: 1 };

const list = (names: readonly string[]) => names.join(', ');
export const USAGE = `usage: npm run experiment -- [MODE] --data FOLDER [options]

modes
${table(MODES)}

what is run
  --data FOLDER         one folder a set: ${list(SETS.map(({ name }) => name))}
  --only SET,SET        these sets
  --configs NAME,NAME   ${list(CONFIGURATIONS.map(({ name }) => name))}, or a variant's name
  --variant "NAME: field=value field=value"
                        another configuration, all else "auto"; may be given again
  --precisions P,P      each of Weft's configurations on each of ${list(BASE_PRECISIONS)}
  --protocol NAME       how the epoch is chosen and what the figure is taken on (held-out where not given)
${table(PROTOCOLS, '                        ')}
  --seeds N             trainings of each, seeds 1 to N (accuracy 5, ablation 3, few-shot 10, methods 3)
  --factors F,F         ablation: ${list(Object.keys(FACTORS))}
  --shots N,N,all       few-shot, methods: examples of each label (8,16,32,64,all; methods 16,all)
  --limit N             at most N rows of each file
  --quick               a smoke test: --limit ${QUICK.rows} --seeds ${QUICK.seeds}

how it is run
  --name NAME           results are kept in WEFT_HOME/experiments/NAME (main) and are not trained again
  --same-code           train again what another version of the engine trained
  --report FOLDER       where the report goes (WEFT_HOME/experiments/NAME/report)
  --plan                say what would be run, and run nothing
  --jobs N              trainings at once (1)
  --threads N           threads of each (the cores, divided by --jobs)
  --base ID|FOLDER      the base model (minilm-l6-384)
  --device NAME         ${list(DEVICES)}
WEFT_PYTHON names a Python with torch, transformers, peft and scikit-learn for the peers.`;

export interface Options {
  readonly mode: Mode;
  readonly data: string;
  readonly sets: readonly string[];
  readonly configurations: readonly Configuration[];
  readonly protocol: Protocol;
  readonly seeds: readonly number[];
  readonly factors: readonly string[];
  readonly shots: readonly (number | null)[];
  readonly limit: number | null;
  readonly name: string;
  readonly sameCode: boolean;
  readonly report: string | null;
  readonly plan: boolean;
  readonly jobs: number;
  readonly threads: number;
  readonly base: string;
  readonly device: Device;
}

/** The options of the command line, or 'help' if it asks for it. @throws naming the option that does not fit, with the known ones */
export function parseOptions(args: readonly string[]): Options | 'help' {
  const { values, positionals } = parse(args);
  if (values.help) return 'help';
  const [mode = 'accuracy', ...rest] = positionals;
  if (rest.length > 0) throw new Error(`${rest.join(' ')}: one mode is run at a time`);
  oneOf('the mode', mode, Object.keys(MODES));
  if (!values.data) throw new Error('--data FOLDER is needed');
  const variants = (values.variant ?? []).map(parseVariant);
  const precisions = values.precisions ? each('--precisions', values.precisions, BASE_PRECISIONS) : null;
  const named = configured(values.configs, variants, mode as Mode);
  const jobs = count('--jobs', values.jobs ?? '1');
  const limit = values.limit ? count('--limit', values.limit) : null;
  const shots = values.shots?.split(',').map(shotsOf);
  const seeds = values.seeds ? count('--seeds', values.seeds) : SEEDS[mode as Mode];
  return {
    mode: mode as Mode,
    data: values.data,
    sets: values.only ? each('--only', values.only, names(SETS)) : names(SETS),
    configurations: precisions ? named.flatMap((one) => onPrecisions(one, precisions)) : named,
    protocol: oneOf('--protocol', values.protocol ?? 'held-out', Object.keys(PROTOCOLS)) as Protocol,
    seeds: firstSeeds(values.quick && !values.seeds ? QUICK.seeds : seeds),
    factors: values.factors ? each('--factors', values.factors, Object.keys(FACTORS)) : Object.keys(FACTORS),
    shots: SHOTS[mode as Mode].length > 1 && shots ? shots : SHOTS[mode as Mode],
    limit: values.quick && limit === null ? QUICK.rows : limit,
    name: folderName(values.name ?? 'main'),
    sameCode: values['same-code'] ?? false,
    report: values.report ?? null,
    plan: values.plan ?? false,
    jobs,
    threads: count(
      '--threads',
      values.threads ?? String(Math.max(1, Math.floor(availableParallelism() / jobs))),
    ),
    base: values.base ?? 'minilm-l6-384',
    device: oneOf('--device', values.device ?? 'cpu', DEVICES) as Device,
  };
}

function parse(args: readonly string[]) {
  const string = { type: 'string' } as const;
  const boolean = { type: 'boolean' } as const;
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      data: string,
      only: string,
      configs: string,
      variant: { type: 'string', multiple: true },
      precisions: string,
      protocol: string,
      seeds: string,
      factors: string,
      shots: string,
      limit: string,
      quick: boolean,
      name: string,
      'same-code': boolean,
      report: string,
      plan: boolean,
      jobs: string,
      threads: string,
      base: string,
      device: string,
      help: { type: 'boolean', short: 'h' },
    },
  });
}

/** The configurations asked for; only the variants if no others are given. */
function configured(
  given: string | undefined,
  variants: readonly Configuration[],
  mode: Mode,
): readonly Configuration[] {
  const known = [...CONFIGURATIONS, ...variants];
  const repeated = known.find(({ name }, i) => known.findIndex((other) => other.name === name) !== i);
  if (repeated) throw new Error(`--variant ${repeated.name}: there is a configuration of this name`);
  if (given === undefined && variants.length > 0) return variants;
  const wanted = given === undefined ? CONFIGURED[mode] : each('--configs', given, names(known));
  return wanted.map((name) => known.find((one) => one.name === name)!);
}

function names(rows: readonly { readonly name: string }[]): string[] {
  return rows.map(({ name }) => name);
}

function each(option: string, given: string, known: readonly string[]): string[] {
  return given.split(',').map((one) => oneOf(option, one.trim(), known));
}

function oneOf(option: string, given: string, known: readonly string[]): string {
  if (known.includes(given)) return given;
  throw new Error(`${option} is ${JSON.stringify(given)}; known: ${list(known)}`);
}

function count(option: string, given: string): number {
  if (/^[1-9]\d{0,6}$/.test(given)) return Number(given);
  throw new Error(`${option} is ${JSON.stringify(given)}; it must be a whole number from 1`);
}

function shotsOf(given: string): number | null {
  return given.trim() === 'all' ? null : count('--shots', given.trim());
}

function firstSeeds(number: number): number[] {
  return Array.from({ length: number }, (_, i) => i + 1);
}

/** Checks a folder's name: nothing in it may lead elsewhere. */
function folderName(given: string): string {
  if (/^[a-z0-9][a-z0-9._-]{0,62}$/i.test(given)) return given;
  throw new Error(`--name is ${JSON.stringify(given)}; letters, digits, ".", "_" and "-", at most 63`);
}

function table(rows: Readonly<Record<string, string>>, indent = '  '): string {
  const width = Math.max(...Object.keys(rows).map((name) => name.length)) + 2;
  return Object.entries(rows)
    .map(([name, text]) => `${indent}${name.padEnd(width)}${text}`)
    .join('\n');
}

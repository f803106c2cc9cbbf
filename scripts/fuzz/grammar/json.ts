import type { Choices } from '../choices.ts';

/** Text that is written into a JSON document unchanged. */
class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const NAMES = [
  '',
  'a',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '\u0000',
  '0',
  'é',
  '\ud800',
];
const NUMBERS = [
  '0',
  '-0',
  '-1',
  '1.5',
  '1e999',
  '-1e999',
  '1e-999',
  '4294967296',
  '9007199254740993',
  '18446744073709551616',
  '00',
  'NaN',
];
const LENGTHS = [100, 100, 10_000, 300_000];

/** A value that may stand where another is expected. */
function strange(choices: Choices): Raw {
  const kind = choices.below(8);
  if (kind === 0) return new Raw(choices.pick(['null', 'true', '""', '{}', '[]', '', '[[]]', '{"a":{}}']));
  if (kind === 1) return new Raw(choices.pick(NUMBERS));
  if (kind === 2) return new Raw(JSON.stringify(choices.pick(NAMES)));
  if (kind === 3) return new Raw(JSON.stringify('x'.repeat(choices.pick(LENGTHS))));
  if (kind === 4)
    return new Raw(`"${choices.pick(['\\ud800', '\\u0000', '\\x', '\n', '\\', '\\u2028', '\ufeff'])}"`);
  const depth = choices.pick([3, 3, 1000, 50_000]);
  const [open, close] = choices.pick([
    ['[', ']'],
    ['{"a":', '}'],
  ] as const);
  if (kind === 5) return new Raw(`${open.repeat(depth)}1${close.repeat(depth)}`);
  if (kind === 6) return new Raw(`[${'0,'.repeat(choices.pick(LENGTHS))}0]`);
  const length = choices.pick([100, 10_000]);
  return new Raw(`{${Array.from({ length }, (_, i) => `"${i}":1`).join()}}`);
}

/** A JSON document in which a few values and names are replaced, left out, inserted or given twice; mostly none. */
export function jsonText(value: unknown, choices: Choices): string {
  let result = value;
  while (choices.fault(3)) result = withFault(result, choices);
  return write(result);
}

function withFault(value: unknown, choices: Choices): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Raw) return strange(choices);
  const keys = Object.keys(value);
  if (keys.length === 0 || choices.rarely(12)) return strange(choices);
  const key = choices.pick(keys);
  const inner = (value as Record<string, unknown>)[key];
  const kind = choices.below(8);
  if (kind < 4) return replaced(value, key, withFault(inner, choices));
  if (kind === 4) return replaced(value, key, strange(choices));
  if (kind === 5) return without(value, key);
  const other = choices.rarely(2) ? strange(choices) : inner;
  if (Array.isArray(value)) return [...value, other];
  const name = kind === 6 ? key : choices.pick(NAMES);
  // No object in memory can hold a name twice.
  return new Raw(`${write(value).slice(0, -1)},${JSON.stringify(name)}:${write(other)}}`);
}

function replaced(value: object, key: string, by: unknown): unknown {
  if (Array.isArray(value)) return value.with(Number(key), by);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, name === key ? by : each]));
}

function without(value: object, key: string): unknown {
  if (Array.isArray(value)) return value.filter((_, i) => i !== Number(key));
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
}

function write(value: unknown): string {
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return `[${value.map(write).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([name, each]) => `${JSON.stringify(name)}:${write(each)}`)
    .join()}}`;
}

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { readExamples } from '../../gpu-node/data/dataset.ts';
import { type InvalidRows, MAX_LINE_BYTES } from '../../shared/api/datasets.ts';

import { joinBytes } from '../../shared/bytes.ts';
import { ingestDataset, settle } from '../../shared/dataset/dataset.ts';
import type { Columns } from '../../shared/dataset/find-in-row.ts';
import type { Choices } from './choices.ts';
import { chunksOf, corrupted, whole } from './grammar/bytes.ts';
import { jsonText } from './grammar/json.ts';
import { anyText } from './grammar/text.ts';
import { expect, expectEqual, type Outcome, outcomeOf } from './oracle.ts';
import type { Check } from './target.ts';

interface Row {
  text: string;
  label: string;
}

/** Characters that fit on a line although JSON escapes each of them sixfold and a form has words of its own. */
const MAX_SOUND_CHARS = Math.floor(MAX_LINE_BYTES / 6) - 1000;

/** A way to write rows, and whether it keeps their content. */
interface Form {
  write(rows: readonly Row[], choices: Choices): string;
}

const separated = (separator: string): Form => ({
  write: (rows, choices) => {
    const end = choices.usually([choices.pick(['\n', '\r\n']), '\r']);
    const columns = choices.usually([
      choices.pick([
        ['text', 'label'],
        ['label', 'text'],
        ['id', 'Text', ' LABEL '],
      ]),
      ['text', 'text', 'label'],
      ['label'],
    ]);
    const cell = (value: string) =>
      choices.rarely(6) || /["\n\r;,\t|]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
    const cells = rows.map((row) =>
      columns.map((column) => cell(row[column.trim().toLowerCase() as keyof Row] ?? '7')),
    );
    if (cells.length > 0 && choices.fault(5))
      choices.pick(cells).push(choices.pick(['', '"', 'a"b', '"a"b']));
    if (choices.fault(6)) cells.push(columns.map(() => ''));
    const prefix = choices.usually(['', '\ufeff', `sep=${separator}\n`, '\n', ' \n']);
    return prefix + [columns, ...cells].map((row) => row.join(separator)).join(end) + choices.pick(['', end]);
  },
});

/** JSONL with each row in a form of its own. */
const jsonl = (formOf: (row: Row, choices: Choices) => unknown): Form => ({
  write: (rows, choices) =>
    rows
      .map((row) => jsonText(formOf(row, choices), choices))
      .join(choices.usually([choices.pick(['\n', '\r\n']), '\n\n', '\r'])),
});

/** A chat whose text and label are a row's, with turns between that are not read. */
function chatOf({ text, label }: Row, choices: Choices): unknown {
  const content = (words: string) =>
    choices.pick([
      words,
      [{ type: 'text', text: words }],
      [
        { type: 'text', text: '' },
        { type: 'text', text: words },
      ],
    ]);
  const role = choices.usually(['user', 'system', 'developer', 'tool', 'assistant']);
  const between = choices.usually([
    [],
    [{ role: 'assistant', content: null }],
    [{ role: 'tool', content: 7 }],
    ['turn'],
  ]);
  return {
    messages: [{ role, content: content(text) }, ...between, { role: 'assistant', content: content(label) }],
  };
}

/** A task of Label Studio, a record of Argilla, or a row of doccano. */
function exported({ text, label }: Row, choices: Choices): unknown {
  const labels = choices.usually([
    [label],
    [label, label],
    [],
    [[0, 1, label]],
    [{ start: 0, end: 1, label }],
    label,
  ]);
  const status = choices.usually(['submitted', 'draft', 3]);
  const from = choices.usually(['label', '__proto__', 7]);
  const result = {
    type: choices.usually(['choices', 'labels']),
    from_name: from,
    value: { choices: labels },
  };
  return choices.pick([
    { id: 1, data: { text, n: 3 }, annotations: [{ result: [result], was_cancelled: status === 'draft' }] },
    { text, id: 1, annotator: 1, annotation_id: 2, [from]: choices.pick([label, { choices: labels }]) },
    { fields: { text }, responses: { [from]: [{ value: label, status }] }, suggestions: {} },
    { fields: { text }, responses: [{ values: { [from]: { value: labels } }, status }] },
    { id: '1', text, 'label.responses': labels, 'label.responses.status': [status] },
    { inputs: { text }, prediction: null, annotation: labels },
    { id: 1, text, label: labels },
    { id: 1, data: text, cats: labels, entities: [] },
  ]);
}

const FORMS: readonly Form[] = [
  jsonl((row) => row),
  jsonl(exported),
  {
    write: (rows, choices) => {
      const items = rows.map((row) => jsonText(choices.pick([row, exported(row, choices)]), choices));
      const between = choices.usually([choices.pick([',', ',\n', ' , ']), '', ',,', ']', '}']);
      return `${choices.pick(['[', ' [\n'])}${items.join(between)}${choices.usually([choices.pick([']', '\n]\n']), '', ']]'])}`;
    },
  },
  jsonl(chatOf),
  jsonl(({ text, label }, choices) => ({
    prompt: text,
    [choices.usually(['completion', 'completions'])]: label,
  })),
  separated(','),
  separated('\t'),
  separated(';'),
  separated('|'),
];

/** Fuzzes files of labelled texts: the result must not depend on how the network cuts them, and a node must read the accepted rows. */
export async function dataset(): Promise<Check> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-fuzz-'));
  process.on('exit', () => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'rows.jsonl');
  return async (choices) => {
    const form = choices.pick(FORMS);
    const rows = choices.times(choices.pick([3, 1, 0, 12]), () => rowOf(choices));
    const encode = choices.usually([
      choices.pick([utf8, utf16('le'), utf16('be'), (text: string) => gzipSync(text)]),
      (text: string) => gzipSync(gzipSync(text)),
    ]);
    const bytes = corrupted(encode(form.write(rows, choices)), choices);
    choices.note('file', bytes);
    const invalidRows = choices.pick(['skip', 'refuse'] as const);
    const columns = choices.usually<Columns>([
      {},
      { text: 'id' },
      { label: 'text' },
      { text: '__proto__', label: 'constructor' },
    ]);
    const atOnce = await ingest(whole(bytes), invalidRows, columns);
    const inChunks = await ingest(chunksOf(bytes, choices), invalidRows, columns);
    const both = [inChunks, atOnce].map(({ outcome }) => outcome);
    if (!both.some(isTorn)) expectEqual(inChunks, atOnce, 'a file in one chunk and in many');
    else
      expect(
        both.every((each) => 'refused' in each),
        'a file of broken UTF-16 is taken in one way and not in another',
      );
    if ('refused' in atOnce.outcome) {
      expect(
        !choices.isSound || rows.length === 0,
        `a sound file is refused: ${atOnce.outcome.refused.message}`,
      );
      return;
    }
    const { examples, labels } = atOnce.outcome.value;
    await writeFile(path, atOnce.stored);
    const read = await outcomeOf(() => allOf(readExamples(path)));
    expect(
      'value' in read,
      `the edge takes rows that a node refuses: ${'refused' in read && read.refused.message}`,
    );
    if (choices.isSound) expectEqual(read.value, rows, 'the rows that were written and those that were read');
    expectEqual(read.value.length, examples, 'the rows of the edge and of the node');
    expectEqual(
      Object.entries(labels).sort(),
      [...Map.groupBy(read.value, ({ label }) => label)].map(([label, { length }]) => [label, length]).sort(),
      'the labels of the edge and of the node',
    );
  };
}

/** True for broken UTF-16. It is found when its chunk comes, so a bad line before it may be reported instead. */
function isTorn(outcome: Outcome<unknown>): boolean {
  return 'refused' in outcome && outcome.refused.message.includes('broken UTF-16');
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Encodes UTF-16 with its byte order mark. */
function utf16(order: 'le' | 'be'): (text: string) => Uint8Array {
  return (text) => {
    const bytes = Buffer.from(`\ufeff${text}`, 'utf16le');
    return order === 'le' ? bytes : bytes.swap16();
  };
}

function rowOf(choices: Choices): Row {
  const label = choices.usually([
    choices.pick(['spam', 'ham', 'Ham', '1', 'constructor', 'é']),
    ' ham',
    '',
    '__proto__',
    'x'.repeat(257),
    '\ufeff',
  ]);
  // A file cannot hold half a character, and a text that begins with a visible one is never blank.
  const inked = () => `x${anyText(choices, 8)}`.slice(0, MAX_SOUND_CHARS).toWellFormed();
  const words = () => (choices.fault(4) ? anyText(choices, 8) : inked());
  return { text: choices.rarely(2) ? words() : 'some text', label };
}

async function ingest(chunks: AsyncIterable<Uint8Array>, invalidRows: InvalidRows, columns: Columns) {
  const written: Uint8Array[] = [];
  const sink = { write: async (bytes: Uint8Array) => void written.push(bytes.slice()) };
  const outcome = await outcomeOf(async () =>
    settle(await ingestDataset(chunks, sink, { columns }), invalidRows),
  );
  // The caller drops the written rows of a refused file.
  return { outcome, stored: 'refused' in outcome ? new Uint8Array() : joinBytes(written) };
}

async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

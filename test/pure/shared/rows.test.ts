import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { invalidRequest } from '../../../edge/invalid-request.ts';
import { readExamples } from '../../../gpu-node/data/dataset.ts';
import { weftFile } from '../../../shared/adapter-format.ts';
import { createAdapter } from '../../../shared/api/adapters.ts';
import { ingestDataset, settle } from '../../../shared/dataset/dataset.ts';
import { concat } from '../../support/multipart-body.ts';

const GOOD = '{"text":"first","label":"a"}';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft rows '));
});
afterAll(() => rm(folder, { recursive: true }));

/** A row as the second of an uploaded file, of a request's examples, and of a dataset that a node reads. */
const WAYS = {
  async upload(row: string) {
    const stored: Uint8Array[] = [];
    const sink = { write: async (bytes: Uint8Array) => void stored.push(bytes) };
    const file = (async function* () {
      yield new TextEncoder().encode(`${GOOD}\n${row}\n`);
    })();
    settle(await ingestDataset(file, sink), 'refuse');
    return JSON.parse(new TextDecoder().decode(concat(stored)).split('\n')[1]!);
  },

  async inline(row: string) {
    const request = { name: 'x', examples: [JSON.parse(GOOD), JSON.parse(row)] };
    const parsed = createAdapter.safeParse(request);
    if (!parsed.success) throw invalidRequest(parsed.error);
    return parsed.data.examples![1];
  },

  async node(row: string) {
    const path = join(folder, 'training.jsonl');
    await writeFile(path, `${GOOD}\n${row}\n`);
    const rows = [];
    for await (const read of readExamples(path)) rows.push(read);
    return rows[1];
  },
};
const everyWay = (row: string) => Promise.allSettled(Object.values(WAYS).map((read) => read(row)));

describe('a row is the same in a file, in a request and to a node', () => {
  it.each([
    ['a text as it is', '{"text":" a\\u00a0b ","label":"x"}', { text: ' a\u00a0b ', label: 'x' }],
    ['an integer label as its digits', '{"text":"a","label":-7}', { text: 'a', label: '-7' }],
    ['a label without its outer blanks', '{"text":"a","label":"\\u00a0x y\\t"}', { text: 'a', label: 'x y' }],
    ['no other field', '{"id":3,"text":"a","label":"x","meta":{"lang":"en"}}', { text: 'a', label: 'x' }],
  ])('taken with %s', async (_, row, expected) => {
    for (const read of await everyWay(row)) expect(read).toEqual({ status: 'fulfilled', value: expected });
  });

  it.each([
    ['{"label":"a"}', 'text', 'text is missing'],
    ['{"text":null,"label":"a"}', 'text', 'text is missing'],
    ['{"text":5,"label":"a"}', 'text', 'text is a number, not a string'],
    ['{"text":["a"],"label":"a"}', 'text', 'text is an array, not a string'],
    ['{"text":"","label":"a"}', 'text', 'text is empty'],
    ['{"text":" \\t ","label":"a"}', 'text', 'text is empty'],
    ['{"text":"\\u200b\\ufe0f","label":"a"}', 'text', 'text is empty'],
    ['{"text":"\\ud800","label":"a"}', 'text', 'text holds half a surrogate pair'],
    [
      `{"text":"${'x'.repeat(1_000_001)}","label":"a"}`,
      'text',
      'text has 1000001 characters, at most 1000000 are accepted',
    ],
    ['{"text":"a"}', 'label', 'label is missing'],
    ['{"text":"a","label":""}', 'label', 'label is empty'],
    ['{"text":"a","label":"  "}', 'label', 'label is empty'],
    ['{"text":"a","label":"\\u2060"}', 'label', 'label is empty'],
    ['{"text":"a","label":1.5}', 'label', 'label is 1.5; a label is a string or an integer'],
    [
      '{"text":"a","label":9007199254740993}',
      'label',
      'label is 9007199254740992; a label is a string or an integer',
    ],
    ['{"text":"a","label":true}', 'label', 'label is a boolean; a label is a string or an integer'],
    ['{"text":"a","label":{"b":1}}', 'label', 'label is an object; a label is a string or an integer'],
    ['{"text":"a","label":"b\\udfff"}', 'label', 'label holds half a surrogate pair'],
    ['{"text":"a","label":" __proto__"}', 'label', 'label "__proto__" is reserved'],
    [
      `{"text":"a","label":"${'x'.repeat(257)}"}`,
      'label',
      'label has 257 characters, at most 256 are accepted',
    ],
    ['["a","b"]', undefined, 'not an object such as {"text": "…", "label": "…"}'],
    ['null', undefined, 'not an object such as {"text": "…", "label": "…"}'],
    ['"a"', undefined, 'not an object such as {"text": "…", "label": "…"}'],
  ])('refused with the same words: %.60s', async (row, field, fault) => {
    const [upload, inline, node] = (await everyWay(row)).map(
      (read) => (read as PromiseRejectedResult).reason,
    );
    expect(upload).toMatchObject({ code: 'invalid_dataset', errors: [{ line: 2, message: fault }] });
    const param = field === undefined ? 'examples.1' : `examples.1.${field}`;
    expect(inline).toMatchObject({ code: 'invalid_request', param, message: `${param}: ${fault}` });
    expect(node).toMatchObject({ code: 'invalid_dataset', message: `line 2: ${fault}` });
  });
});

describe('the labels of an adapter’s weft.json', () => {
  const weft = (labels: unknown[]) => ({
    format: 1,
    labels,
    pooling: 'cls',
    max_length: 64,
    base_model: 'tiny',
    base_model_sha256: '0'.repeat(64),
    base_precision: 'fp32',
    metrics: null,
  });

  it.each([
    [' \u200b', 'label is empty'],
    ['b\ud800', 'label holds half a surrogate pair'],
    ['__proto__', 'label "__proto__" is reserved'],
    ['x'.repeat(257), 'label has 257 characters, at most 256 are accepted'],
  ])('follow the same rules: %j', (label, fault) => {
    expect(weftFile.safeParse(weft(['a', 'b'])).success).toBe(true);
    expect(weftFile.safeParse(weft(['a', label])).error?.issues).toMatchObject([
      { path: ['labels', 1], message: fault },
    ]);
  });
});

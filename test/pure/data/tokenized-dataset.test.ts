import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { StoredExamples } from '../../../gpu-node/data/examples.ts';
import { TokenFile } from '../../../gpu-node/data/token-file.ts';
import { tokenizeDataset } from '../../../gpu-node/data/tokenized-dataset.ts';
import { loadTokenizer } from '../../../gpu-node/data/tokenizer.ts';
import { Random } from '../../../gpu-node/random.ts';
import type { Example } from '../../../shared/api/rows.ts';
import { TINY_BERT, withFolder } from '../../support/tiny-bert.ts';

const LONGEST = 64;
const tokenizer = await loadTokenizer(TINY_BERT);
const random = new Random(3, 'texts');
const rows: Example[] = Array.from({ length: 300 }, (_, i) => ({
  text: Array.from({ length: 1 + random.below(90) }, () => ['fox', 'dog', 'money'][random.below(3)]).join(
    ' ',
  ),
  label: ['spam', 'ham', 'eggs'][i % 3]!,
}));

/** Tokenizes files of rows into one token file and runs `use`. */
function withTokens<T>(
  files: readonly (readonly Example[])[],
  use: (datasets: Awaited<ReturnType<typeof tokenizeDataset>>[], tokens: TokenFile) => T,
  signal = new AbortController().signal,
) {
  return withFolder(async (folder) => {
    const tokens = new TokenFile(join(folder, 'tokens'));
    try {
      const datasets = [];
      for (const [i, file] of files.entries()) {
        const path = join(folder, `${i}.jsonl`);
        await writeFile(path, file.map((row) => JSON.stringify(row)).join('\n'));
        datasets.push(await tokenizeDataset(path, { tokenizer, maxLength: LONGEST, tokens, signal }));
      }
      return use(datasets, tokens);
    } finally {
      tokens.close();
    }
  });
}

describe('a dataset on disk', () => {
  it.each([LONGEST, 16])('gives of every row what tokenizing its text to %d tokens gives', (maxLength) =>
    withTokens([rows.slice(0, 100), rows.slice(100)], ([, second], tokens) => {
      const labels = ['eggs', 'ham', 'spam'];
      const all = Uint32Array.from(second!.labels.keys());
      const { suffix } = tokenizer;
      const stored = new StoredExamples({
        dataset: second!,
        rows: all,
        tokens,
        labels,
        placeholders: 0,
        maxLength,
        suffix,
      });
      const order = new Random(1, 'order').shuffle([...all]);
      for (const [i, { ids, label }] of stored.read(order).entries()) {
        const row = rows[100 + order[i]!]!;
        expect(ids).toEqual(tokenizer.encode(row.text, maxLength).ids);
        expect(stored.lengths[order[i]!]).toBe(ids.length);
        expect(labels[label]).toBe(row.label);
      }
    }),
  );

  it('gives the rows that are meant', () =>
    withTokens([rows], ([dataset], tokens) => {
      const options = {
        dataset: dataset!,
        tokens,
        labels: ['eggs', 'ham', 'spam'],
        placeholders: 0,
        maxLength: 32,
        suffix: [3],
      };
      const some = new StoredExamples({ ...options, rows: Uint32Array.of(7, 250) });
      expect([...some.labels]).toEqual([1, 1]);
      expect(some.read([1])[0]!.ids).toEqual(tokenizer.encode(rows[250]!.text, 32).ids);
    }));

  it('puts placeholders before every text, cut or not, and counts them in its length', () =>
    withTokens([rows.slice(0, 20)], ([dataset], tokens) => {
      const stored = new StoredExamples({
        dataset: dataset!,
        rows: Uint32Array.from(dataset!.labels.keys()),
        tokens,
        labels: ['eggs', 'ham', 'spam'],
        placeholders: 3,
        maxLength: 9,
        suffix: tokenizer.suffix,
      });
      for (const [i, { ids }] of stored.read([...rows.slice(0, 20).keys()]).entries()) {
        expect([...ids]).toEqual([-1, -2, -3, ...tokenizer.encode(rows[i]!.text, 9).ids]);
        expect(stored.lengths[i]).toBe(ids.length);
      }
    }));

  it('counts the texts that are cut, and tells equal texts from others', () =>
    withTokens([rows], ([dataset]) => {
      const { truncated, hashes, labelNames } = dataset!;
      expect(truncated).toBe(rows.filter(({ text }) => tokenizer.encode(text, LONGEST).truncated).length);
      expect(new Set(hashes).size).toBe(new Set(rows.map(({ text }) => text)).size);
      expect(labelNames).toEqual(['spam', 'ham', 'eggs']);
    }));

  it('has no more labels than an adapter', async () => {
    const many = Array.from({ length: 1001 }, (_, i) => ({ text: 'fox', label: `${i}` }));
    await expect(withTokens([many], () => {})).rejects.toThrow('the dataset has more than 1000 labels');
  });

  it('is no longer read once that is aborted', async () => {
    const stopped = AbortSignal.abort(new Error('cancelled'));
    await expect(withTokens([rows], () => {}, stopped)).rejects.toThrow('cancelled');
  });
});

describe('a token file', () => {
  it('gives ids back from any place, whatever is written at once', () =>
    withFolder(async (folder) => {
      const tokens = new TokenFile(join(folder, 'tokens'));
      const texts = [3, 0, 70_000, 40_000, 30_000, 5].map((length, text) =>
        Int32Array.from({ length }, (_, i) => 100_000 * text + i),
      );
      const places = texts.map((ids) => {
        const first = tokens.length;
        tokens.append(ids);
        return first;
      });
      tokens.flush();
      for (const [i, ids] of [...texts.entries()].reverse()) {
        expect(tokens.read(places[i]!, ids.length)).toEqual(ids);
      }
      expect(() => tokens.read(tokens.length - 1, 2)).toThrow('the token file ends before id 140009');
      tokens.close();
    }));
});

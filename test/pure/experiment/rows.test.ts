import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cutRows, DataFolder, draw } from '../../../scripts/experiment/rows.ts';
import { runOf } from '../../support/experiment.ts';

const rowsOf = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, i) => ({
    text: `${prefix} ${i}`,
    label: i % 3 === 0 ? 'rare' : 'usual',
  }));
const SET = { training: rowsOf(90, 'training'), test: rowsOf(30, 'test') };
const RUN = runOf({});
const textsOf = (rows: readonly { text: string }[]) => rows.map(({ text }) => text);

describe('the rows of a run', () => {
  it('are the files themselves where nothing is cut', () => {
    expect(cutRows(SET, RUN)).toEqual(SET);
  });

  it('are training rows alone where defaults are explored', () => {
    const { training, test } = cutRows(SET, { ...RUN, protocol: 'explore' });
    expect(test).toHaveLength(18);
    expect(textsOf([...training, ...test]).sort()).toEqual(textsOf(SET.training).sort());
    expect(test.filter(({ label }) => label === 'rare')).toHaveLength(6);
  });

  it('are others for another seed where defaults are explored, and the same for the same', () => {
    const testOf = (seed: number) => textsOf(cutRows(SET, { ...RUN, protocol: 'explore', seed }).test);
    expect(testOf(1)).toEqual(testOf(1));
    expect(testOf(1)).not.toEqual(testOf(2));
  });

  it('keep each label’s share under a limit', () => {
    const { training, test } = cutRows(SET, { ...RUN, limit: 15 });
    expect(training.filter(({ label }) => label === 'rare')).toHaveLength(5);
    expect(training).toHaveLength(15);
    expect(test).toHaveLength(15);
  });
});

describe('a draw of few shots', () => {
  it('holds so many of each label, or all that there are', () => {
    const drawn = draw(SET.training, 40, 1);
    expect(drawn.filter(({ label }) => label === 'usual')).toHaveLength(40);
    expect(drawn.filter(({ label }) => label === 'rare')).toHaveLength(30);
  });

  it('holds the smaller draw of its seed', () => {
    expect(textsOf(draw(SET.training, 16, 3))).toEqual(
      expect.arrayContaining(textsOf(draw(SET.training, 8, 3))),
    );
  });

  it('is another for another seed', () => {
    expect(textsOf(draw(SET.training, 8, 1))).toEqual(textsOf(draw(SET.training, 8, 1)));
    expect(textsOf(draw(SET.training, 8, 1))).not.toEqual(textsOf(draw(SET.training, 8, 2)));
  });
});

describe('a folder of sets', () => {
  let folder: string;
  const jsonl = (rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).join('\n');

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-experiment-'));
    await mkdir(join(folder, 'ag_news'));
    await writeFile(join(folder, 'ag_news', 'train.jsonl'), jsonl(SET.training));
    await writeFile(join(folder, 'ag_news', 'validation.jsonl'), jsonl(SET.test));
    await mkdir(join(folder, 'broken'));
    await writeFile(join(folder, 'broken', 'train.jsonl'), '{"text": "a"}\n');
    await writeFile(join(folder, 'broken', 'validation.jsonl'), jsonl(SET.test));
  });

  afterAll(() => rm(folder, { recursive: true }));

  it('gives the files as they are, and writes what is cut from them', async () => {
    const data = await DataFolder.open(folder, ['ag_news'], join(folder, 'cut'));
    const whole = await data.of(RUN);
    expect(whole.training.path).toBe(join(folder, 'ag_news', 'train.jsonl'));
    const few = await data.of({ ...RUN, shots: 2 });
    const written = (await readFile(few.training.path, 'utf8')).trim().split('\n');
    expect(written.map((line) => JSON.parse(line))).toEqual(few.training.rows);
    expect(few.training.rows).toHaveLength(4);
    expect(few.test.sha256).toBe(whole.test.sha256);
  });

  it('is refused where it, or a file of it, is not there', async () => {
    await expect(DataFolder.open(join(folder, 'none'), [], folder)).rejects.toThrow(
      'there is no such folder',
    );
    await expect(DataFolder.open(folder, ['imdb_sample'], folder)).rejects.toThrow(
      /has no imdb_sample.train\.jsonl; --only/,
    );
  });

  it('names the file and the line that are at fault', async () => {
    const data = await DataFolder.open(folder, ['broken'], join(folder, 'cut'));
    await expect(data.of({ ...RUN, set: 'broken' })).rejects.toThrow(/broken.train\.jsonl: line 1: label/);
  });
});

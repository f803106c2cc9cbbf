import { createHash } from 'node:crypto';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readExamples, stratifiedSplit } from '../../gpu-node/data/dataset.ts';
import { Random } from '../../gpu-node/random.ts';
import type { Example } from '../../shared/api/rows.ts';
import type { Run } from './result.ts';
import { SETS } from './sets.ts';

/** Share of the training rows that replaces the validation file where that must not be read. */
const EXPLORED_SHARE = 0.2;

/** A JSONL file on disk, and its content. */
export interface DataFile {
  readonly path: string;
  readonly rows: readonly Example[];
  /** SHA-256 of the rows, one JSON text per line. */
  readonly sha256: string;
}

/** The rows that a run trains on, and those that it is measured on. */
export interface RunData {
  readonly training: DataFile;
  readonly test: DataFile;
}

type Rows = { training: readonly Example[]; test: readonly Example[] };

/** Cuts a set's rows for a run: first by the protocol, then to the limit, then to the examples per label. Equal runs get equal rows. */
export function cutRows(set: Rows, { protocol, limit, shots, seed }: Run): Rows {
  const { training, test } = protocol === 'explore' ? exploreSplit(set.training, seed) : set;
  const few = { training: atMost(training, limit), test: atMost(test, limit) };
  return { training: shots === null ? few.training : draw(few.training, shots, seed), test: few.test };
}

function exploreSplit(rows: readonly Example[], seed: number): Rows {
  const count = Math.round(EXPLORED_SHARE * rows.length);
  const { training, validation } = stratifiedSplit(rows, count, new Random(seed, 'explore'));
  return { training, test: validation };
}

/** Up to `limit` rows, each label in its proportion, always the same ones. */
function atMost(rows: readonly Example[], limit: number | null): readonly Example[] {
  if (limit === null || rows.length <= limit) return rows;
  return stratifiedSplit(rows, limit, new Random(0, 'limit')).validation;
}

/** Up to `shots` examples per label. A seed's smaller draw is part of its larger one. */
export function draw(rows: readonly Example[], shots: number, seed: number): Example[] {
  const random = new Random(seed, 'draw');
  const groups = [...Map.groupBy(rows, ({ label }) => label)].sort(([a], [b]) => (a < b ? -1 : 1));
  const drawn = new Set(groups.flatMap(([, group]) => random.shuffle([...group]).slice(0, shots)));
  return rows.filter((row) => drawn.has(row));
}

/** The sets of a folder. Rows cut from them are written beside the results. */
export class DataFolder {
  readonly #folder: string;
  readonly #cutFolder: string;
  readonly #files = new Map<string, Promise<DataFile>>();

  private constructor(folder: string, cutFolder: string) {
    this.#folder = folder;
    this.#cutFolder = cutFolder;
  }

  /** @throws naming the missing folder or file */
  static async open(folder: string, sets: readonly string[], cutFolder: string): Promise<DataFolder> {
    const holds = `one folder a set (${SETS.map(({ name }) => name).join(', ')}), each with train.jsonl and validation.jsonl`;
    if (!(await exists(folder))) {
      throw new Error(`--data ${folder}: there is no such folder; it holds ${holds}`);
    }
    for (const file of sets.flatMap((set) => [join(set, 'train.jsonl'), join(set, 'validation.jsonl')])) {
      if (!(await exists(join(folder, file)))) {
        throw new Error(`--data ${folder} has no ${file}; --only names the sets to run`);
      }
    }
    await mkdir(cutFolder, { recursive: true });
    return new DataFolder(folder, cutFolder);
  }

  /** The files of a run; the protocol may keep validation.jsonl unread. */
  async of(run: Run): Promise<RunData> {
    const training = await this.#file(run.set, 'train');
    const test = run.protocol === 'explore' ? training : await this.#file(run.set, 'validation');
    const cut = cutRows({ training: training.rows, test: test.rows }, run);
    return {
      training: cut.training === training.rows ? training : await this.#write(run.set, cut.training),
      test: cut.test === test.rows ? test : await this.#write(run.set, cut.test),
    };
  }

  #file(set: string, split: string): Promise<DataFile> {
    const path = join(this.#folder, set, `${split}.jsonl`);
    const known = this.#files.get(path);
    if (known) return known;
    const file = readFile(path);
    this.#files.set(path, file);
    return file;
  }

  async #write(set: string, rows: readonly Example[]): Promise<DataFile> {
    const text = textOf(rows);
    const sha256 = sha256Of(text);
    const path = join(this.#cutFolder, `${set}-${sha256.slice(0, 16)}.jsonl`);
    if (!(await exists(path))) await writeFile(path, text);
    return { path, rows, sha256 };
  }
}

async function readFile(path: string): Promise<DataFile> {
  const rows: Example[] = [];
  try {
    for await (const row of readExamples(path)) rows.push(row);
  } catch (cause) {
    throw new Error(`${path}: ${(cause as Error).message}`, { cause });
  }
  return { path, rows, sha256: sha256Of(textOf(rows)) };
}

function textOf(rows: readonly Example[]): string {
  return rows.map(({ text, label }) => `${JSON.stringify({ text, label })}\n`).join('');
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

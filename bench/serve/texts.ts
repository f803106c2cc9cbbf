import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A text and its task. */
export interface TaskText {
  readonly task: number;
  readonly text: string;
}

/** Real texts of one or several tasks in turn; no text is handed out twice. */
export class Texts {
  readonly #tasks: readonly (readonly string[])[];
  #taken = 0;

  private constructor(tasks: readonly (readonly string[])[]) {
    this.#tasks = tasks;
  }

  /** Reads a folder that holds JSONL files of `{"text", "label"}` lines, or one such folder per task. */
  static async read(folder: string): Promise<Texts> {
    const isTask = await access(join(folder, 'train.jsonl')).then(
      () => true,
      () => false,
    );
    const folders = isTask ? [folder] : (await foldersIn(folder)).map((name) => join(folder, name));
    const tasks = (await Promise.all(folders.map(distinctTexts))).filter(({ length }) => length > 0);
    if (tasks.length === 0) throw new Error(`${folder} holds no texts`);
    return new Texts(tasks);
  }

  get tasks(): number {
    return this.#tasks.length;
  }

  /** The next texts, of each task in turn. A task whose texts are used up starts again, with a number behind each text. */
  take(count: number): TaskText[] {
    return Array.from({ length: count }, () => {
      const task = this.#taken % this.#tasks.length;
      const nth = Math.floor(this.#taken++ / this.#tasks.length);
      const texts = this.#tasks[task]!;
      const lap = Math.floor(nth / texts.length);
      const text = texts[nth % texts.length]!;
      return { task, text: lap === 0 ? text : `${text} ${lap}` };
    });
  }
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}

async function distinctTexts(folder: string): Promise<string[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort();
  const contents = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
  const lines = contents.flatMap((content) => content.split('\n').filter(Boolean));
  return [...new Set(lines.map((line) => (JSON.parse(line) as { text: string }).text))];
}

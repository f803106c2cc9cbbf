import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { Option } from '@commander-js/extra-typings';
import { type Classification, classifyResponse, MAX_INPUTS } from '../../shared/api/inference.ts';
import { text as textSchema } from '../../shared/api/rows.ts';
import type { Client } from '../client.ts';
import { fileFailure, usage } from '../failure.ts';
import { OutputFile } from '../output-file.ts';
import { Session } from '../session.ts';
import { shortened } from '../terminal/printable.ts';
import { table } from '../terminal/tables.ts';
import { inBatches } from '../text-batches.ts';
import { formatOf, ROW_FORMATS, readTexts, type TextRow } from '../text-rows.ts';
import { adapterArgument, REMOTE, verb } from '../verb.ts';
import type { World } from '../world.ts';

const TEXT_COLUMNS = 60;

interface FileOptions {
  file: string;
  out?: string;
  format?: (typeof ROW_FORMATS)[number];
  scores?: true;
}

export const classify = (world: World) =>
  verb('classify', 'Classify texts, or the rows of a file', REMOTE)
    .addArgument(adapterArgument())
    .argument('[text...]', 'texts')
    .option('--file <path>', 'rows to classify instead; "-" is standard input')
    .option('--out <path>', 'file for the rows with label and score, as JSONL; else standard output')
    .addOption(
      new Option('--format <format>', "the file's format, unless its name says it").choices(ROW_FORMATS),
    )
    .option('--scores', 'give the score of every label')
    .action(async (name, texts, options, command) => {
      const session = new Session(world, command);
      if (texts.length > 0 === (options.file !== undefined)) {
        throw usage('Give either texts or --file.', { next: [`weft classify ${name} 'a text'`] });
      }
      if (options.file !== undefined) return classifyFile(session, name, { ...options, file: options.file });
      if (options.out !== undefined) throw usage('--out is for --file.');
      await classifyTexts(session, name, texts, options.scores === true);
    });

async function classifyTexts(
  session: Session,
  model: string,
  texts: readonly string[],
  withScores: boolean,
): Promise<void> {
  if (texts.length > MAX_INPUTS) throw usage(`At most ${MAX_INPUTS} texts; give more with --file.`);
  if (!texts.every((text) => textSchema.safeParse(text).success)) throw usage('A text is empty.');
  const { raw, value } = await ask(await session.client(), model, texts);
  session.out.result(raw, () => {
    const rows = value.data.map((each, i) => [
      shortened(texts[i]!, TEXT_COLUMNS),
      ...cells(each, withScores),
    ]);
    return table([['text', 'label', 'score', ...(withScores ? ['scores'] : [])], ...rows]);
  });
  if (value.data.some(({ truncated }) => truncated)) {
    session.out.note('Texts longer than the adapter reads were cut.');
  }
}

function cells({ label, score, scores }: Classification, withScores: boolean): string[] {
  const all = Object.entries(scores).toSorted(([, a], [, b]) => b - a);
  const shown = all.slice(0, 5).map(([each, value]) => `${each} ${value.toFixed(3)}`);
  return [shortened(label, 32), score.toFixed(3), ...(withScores ? [shown.join(', ')] : [])];
}

/** Classifies a file as it is read, so its size has no bound; the rows keep their order and their columns. */
async function classifyFile(session: Session, model: string, options: FileOptions): Promise<void> {
  const { out, world } = session;
  const client = await session.client();
  const source =
    options.file === '-' ? world.stdin : createReadStream(options.file, { signal: world.signal });
  const format = options.format ?? formatOf(options.file);
  const file = options.out === undefined ? undefined : await OutputFile.create(options.out, session.isAgreed);
  const write = (text: string) => (file ? file.write(text) : writeTo(world.stdout, text));
  const counts = new Map<string, number>();
  let rows = 0;
  try {
    for await (const batch of inBatches(readTexts(source as AsyncIterable<Uint8Array>, format))) {
      const { value } = await ask(
        client,
        model,
        batch.map(({ text }) => text),
      );
      for (const { label } of value.data) counts.set(label, (counts.get(label) ?? 0) + 1);
      await write(value.data.map((found, i) => outputLine(batch[i]!, found, options)).join(''));
      rows += batch.length;
      if (file) session.progress(`${rows} rows`);
    }
    await file?.finish();
  } catch (error) {
    await file?.abandon();
    throw fileFailure(error, options.file) ?? error;
  } finally {
    session.progress(undefined);
  }
  if (!file) return;
  const payload = {
    object: 'classification.file',
    file: options.file,
    out: file.path,
    rows,
    labels: Object.fromEntries(counts),
  };
  out.result(payload, () => {
    const byCount = [...counts].toSorted(([, a], [, b]) => b - a);
    const shown = byCount.slice(0, 30).map(([label, count]) => [label, String(count)]);
    return `${table([['label', 'rows'], ...shown])}\n\n  ${rows} rows in ${file.path}`;
  });
}

function outputLine(
  { columns }: TextRow,
  { label, score, scores }: Classification,
  options: FileOptions,
): string {
  return `${JSON.stringify({ ...columns, label, score, ...(options.scores && { scores }) })}\n`;
}

/** Classifying changes nothing, so it may be tried again. */
function ask(client: Client, model: string, input: readonly string[]) {
  return client.call(classifyResponse, {
    method: 'POST',
    path: '/v1/classify',
    json: { model, input },
    isSafe: true,
  });
}

async function writeTo(stream: NodeJS.WritableStream, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, 'drain');
}

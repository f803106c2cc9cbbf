import { createReadStream } from 'node:fs';
import { MAX_UPLOAD_BYTES } from '../../shared/api/datasets.ts';
import { limitBytes } from '../../shared/bytes.ts';
import { ingestDataset, settle } from '../../shared/dataset/dataset.ts';
import type { DatasetSummary } from '../../shared/dataset/row-check.ts';
import { AppError } from '../../shared/errors.ts';
import { columnOption, type DatasetOptions, skipInvalidOption } from '../dataset-options.ts';
import { Failure, fileFailure } from '../failure.ts';
import { Session } from '../session.ts';
import { bar } from '../terminal/progress.ts';
import { table } from '../terminal/tables.ts';
import { LOCAL, noun, verb } from '../verb.ts';
import type { World } from '../world.ts';

const BAR_CELLS = 20;
/** Labels that a table shows; the JSON has all. */
const MAX_SHOWN_LABELS = 30;

export const files = (world: World) => noun('files', 'Datasets', [check(world)]);

const check = (world: World) =>
  verb('check', 'Check a dataset as an upload would, without sending it', LOCAL)
    .argument('<file>', 'a file of any kind that an upload takes')
    .addOption(skipInvalidOption())
    .addOption(columnOption('text'))
    .addOption(columnOption('label'))
    .action(async (file, options, command) => {
      const { out } = new Session(world, command);
      const found = await checkDataset(file, options, world.signal);
      out.result({ object: 'file.check', filename: file, ...found }, () => summaryTable(found));
      for (const warning of found.warnings) out.note(`warning: ${warning}`);
      out.next(`weft train NAME ${file}`);
    });

interface CheckedDataset extends DatasetSummary {
  bytes: number;
}

/**
 * Reads a dataset with the checks of an upload, row by row.
 * @throws {Failure} `invalid_dataset` with the first bad lines; `file_unreadable`
 */
export async function checkDataset(
  path: string,
  { skipInvalid, textColumn, labelColumn }: DatasetOptions,
  signal: AbortSignal,
): Promise<CheckedDataset> {
  const read = { bytes: 0 };
  const tooLarge = () =>
    new AppError(
      'payload_too_large',
      `A file may have at most ${MAX_UPLOAD_BYTES} bytes; split it, or keep fewer rows.`,
    );
  try {
    const chunks = limitBytes(createReadStream(path, { signal }), MAX_UPLOAD_BYTES, tooLarge, read);
    const columns = { text: textColumn, label: labelColumn };
    const ingested = await ingestDataset(chunks, { write: async () => {} }, { columns });
    return { bytes: read.bytes, ...settle(ingested, skipInvalid ? 'skip' : 'refuse') };
  } catch (error) {
    if (error instanceof AppError) {
      const { code, message, errors, totalErrors } = error;
      throw new Failure('failed', code, message.replace('send invalid_rows=skip', 'say --skip-invalid'), {
        errors,
        totalErrors,
        cause: error,
      });
    }
    throw fileFailure(error, path) ?? error;
  }
}

function summaryTable({ examples, labels, bytes }: CheckedDataset): string {
  const counts = Object.entries(labels).toSorted(([, a], [, b]) => b - a);
  const most = counts[0]?.[1] ?? 0;
  const rows = counts
    .slice(0, MAX_SHOWN_LABELS)
    .map(([label, count]) => [label, String(count), bar(count, most, BAR_CELLS)]);
  const left = counts.length - rows.length;
  const more = left > 0 ? [[`… ${left} more`, '', '']] : [];
  return `${table([['label', 'rows', ''], ...rows, ...more])}\n\n  ${examples} rows, ${counts.length} labels, ${bytes} bytes: fine`;
}

import { listOf } from '../../shared/api/common.ts';
import { type File as Dataset, fileDeleted, file as fileSchema } from '../../shared/api/datasets.ts';
import { type CheckedDataset, checkDataset, checkLeaks } from '../dataset-check.ts';
import { columnOption, type DatasetOptions, skipInvalidOption } from '../dataset-options.ts';
import { afterOption, ago, limitOption, printPage } from '../listing.ts';
import { OutputFile } from '../output-file.ts';
import { Session } from '../session.ts';
import { labelBars, oddities } from '../terminal/report.ts';
import { fields } from '../terminal/tables.ts';
import { fileArgument, LOCAL, noun, REMOTE, verb } from '../verb.ts';
import type { World } from '../world.ts';

export const files = (world: World) =>
  noun('files', 'Datasets', [check(world), list(world), show(world), remove(world)]);

interface CheckCommand extends DatasetOptions {
  validation?: string;
  errors?: string;
}

const check = (world: World) =>
  verb('check', 'Check a dataset as an upload would, without sending it', LOCAL)
    .argument('<file>', 'a file of any kind that an upload takes')
    .option('--validation <file>', 'a file whose texts should not be among those of the first')
    .option('--errors <path>', 'write all bad rows there, as JSONL of line and message')
    .addOption(skipInvalidOption())
    .addOption(columnOption('text'))
    .addOption(columnOption('label'))
    .action(async (path, options, command) => {
      const session = new Session(world, command);
      const { out } = session;
      const found = await checkAll(session, path, options as CheckCommand);
      const payload = { object: 'file.check', filename: path, ...found };
      out.result(payload, () => [labelBars(found.labels), ...verdict(found)].join('\n'));
      for (const warning of found.warnings) out.note(`warning: ${warning}`);
      out.next(`weft train NAME ${path}`);
    });

async function checkAll(session: Session, path: string, options: CheckCommand): Promise<CheckedDataset> {
  const { signal } = session.world;
  const { errors, validation, ...read } = options;
  const problems = errors === undefined ? undefined : await OutputFile.create(errors, session.isAgreed);
  try {
    const found = await checkDataset(path, { ...read, signal, ...(problems && { problems }) });
    if (validation === undefined) return found;
    const { leaks, isComplete } = await checkLeaks(path, validation, { ...read, signal });
    // A report names the files by their ids, which these do not have.
    const report = { ...found.report, leaks, is_complete: found.report.is_complete && isComplete };
    return { ...found, report };
  } finally {
    await problems?.finish();
  }
}

function verdict({ examples, labels, bytes, report, skipped }: CheckedDataset): string[] {
  const odd = oddities(report);
  const left = skipped.count > 0 ? `, ${skipped.count} left out` : '';
  const sum = `  ${examples} rows, ${Object.keys(labels).length} labels, ${bytes} bytes${left}`;
  return ['', `${sum}: ${odd.length === 0 ? 'fine' : 'to look at'}`, ...odd.map((line) => `  ${line}`)];
}

const list = (world: World) =>
  verb('list', 'List uploaded files, newest first', REMOTE)
    .addOption(limitOption())
    .addOption(afterOption())
    .action(async ({ limit, after }, command) => {
      const session = new Session(world, command);
      await printPage<Dataset>(session, await session.client(), listOf(fileSchema), {
        path: '/v1/files',
        query: { limit: String(limit), after },
        head: ['file', 'name', 'rows', 'bytes', 'uploaded'],
        row: (item) => [
          item.id,
          item.filename,
          String(item.examples),
          String(item.bytes),
          ago(item.created_at),
        ],
        none: 'There are no files.',
      });
    });

const show = (world: World) =>
  verb('show', 'Show an uploaded file and what is odd about it', REMOTE)
    .addArgument(fileArgument())
    .action(async (id, _options, command) => {
      const session = new Session(world, command);
      const client = await session.client();
      const { raw, value } = await client.call(fileSchema, { method: 'GET', path: `/v1/files/${id}` });
      session.out.result(raw, () =>
        [
          fields([
            ['file', value.id],
            ['name', value.filename],
            ['rows', String(value.examples)],
            ['bytes', String(value.bytes)],
            ['uploaded', ago(value.created_at)],
          ]),
          '',
          labelBars(value.labels),
          ...(value.report ? oddities(value.report).map((line) => `  ${line}`) : []),
        ].join('\n'),
      );
      session.out.next(`weft train NAME ${id}`);
    });

const remove = (world: World) =>
  verb('delete', 'Delete an uploaded file that no unfinished job needs', REMOTE)
    .addArgument(fileArgument())
    .action(async (id, _options, command) => {
      const session = new Session(world, command);
      await session.agree(`Delete ${id}?`);
      const client = await session.client();
      const { raw } = await client.call(fileDeleted, { method: 'DELETE', path: `/v1/files/${id}` });
      session.out.result(raw, () => `${id} is deleted`);
    });

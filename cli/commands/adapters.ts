import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { BUNDLE_FILES } from '../../shared/adapter-format.ts';
import { type Adapter, adapter, adapterDeleted } from '../../shared/api/adapters.ts';
import { adapterName, listOf } from '../../shared/api/common.ts';
import { ADAPTER_STATUSES } from '../../shared/job-state.ts';
import type { Client } from '../client.ts';
import { Failure, fileFailure } from '../failure.ts';
import { afterOption, ago, limitOption, printPage } from '../listing.ts';
import { saveStream } from '../output-file.ts';
import { Session } from '../session.ts';
import { fields, metricsTables } from '../terminal/tables.ts';
import { blobOf } from '../upload.ts';
import { adapterArgument, checkedBy, noun, REMOTE, verb } from '../verb.ts';
import type { World } from '../world.ts';
import { alias, rollback } from './aliases.ts';

const EXPORT_FORMATS = ['adapter', 'merged'] as const;

export const adapters = (world: World) =>
  noun('adapters', 'What was trained', [
    list(world),
    show(world),
    remove(world),
    exportAdapter(world),
    importAdapter(world),
    alias(world),
    rollback(world),
  ]);

const list = (world: World) =>
  verb('list', 'List adapters, newest first', REMOTE)
    .addOption(limitOption())
    .addOption(afterOption())
    .option('--name <name>', 'only versions of this name', checkedBy(adapterName))
    .addOption(new Option('--status <status>', 'only those of this status').choices(ADAPTER_STATUSES))
    .action(async ({ limit, after, name, status }, command) => {
      const session = new Session(world, command);
      await printPage<Adapter>(session, await session.client(), listOf(adapter), {
        path: '/v1/adapters',
        query: { limit: String(limit), after, name, status },
        head: ['adapter', 'status', 'F1', 'method', 'base model', 'created'],
        row: (item) => [
          item.id,
          item.status,
          item.metrics?.validation.f1.toFixed(3) ?? '–',
          item.method.type,
          item.base_model,
          ago(item.created_at),
        ],
        none: 'There are no adapters.',
      });
      session.out.next("weft classify NAME 'a text'");
    });

const show = (world: World) =>
  verb('show', 'Show an adapter and how well it does', REMOTE)
    .addArgument(adapterArgument())
    .action(async (name, _options, command) => {
      const session = new Session(world, command);
      const { raw, value } = await getAdapter(await session.client(), name);
      const { out } = session;
      out.result(raw, () => {
        const { labels, metrics } = value;
        const tables = labels && metrics ? `\n\n${metricsTables(labels, metrics.validation, out.paint)}` : '';
        return `${adapterTable(value)}${tables}`;
      });
      if (value.status === 'ready') out.next(`weft classify ${value.id} 'a text'`);
      else if (value.job_id) out.next(`weft jobs show ${value.job_id}`);
    });

const remove = (world: World) =>
  verb('delete', 'Delete a version, or all versions of a name', REMOTE)
    .addArgument(adapterArgument())
    .action(async (name, _options, command) => {
      const session = new Session(world, command);
      await session.agree(name.includes('@') ? `Delete ${name}?` : `Delete all versions of ${name}?`);
      const client = await session.client();
      const path = `/v1/adapters/${name}`;
      const { raw } = await client.call(adapterDeleted, { method: 'DELETE', path });
      session.out.result(raw, () => `${name} is deleted`);
    });

const exportAdapter = (world: World) =>
  verb('export', 'Download an adapter, for HF PEFT or AdapterHub, or merged into its base model', REMOTE)
    .addArgument(adapterArgument())
    .addOption(
      new Option('--format <format>', 'its own files in a folder, or a merged model in a tar archive')
        .choices(EXPORT_FORMATS)
        .default('adapter' as const),
    )
    .option('--out <path>', 'the folder or archive; else NAME-VERSION or NAME-VERSION.tar')
    .action(async (name, { format, out: given }, command) => {
      const session = new Session(world, command);
      const client = await session.client();
      const { value } = await getAdapter(client, name);
      const path = given ?? `${value.name}-${value.version}${format === 'merged' ? '.tar' : ''}`;
      const write = format === 'merged' ? writeMerged : writeFiles;
      const bytes = await write(client, value, path, session.isAgreed);
      const payload = { object: 'adapter.export', id: value.id, format, out: path, bytes };
      session.out.result(payload, () => `${value.id} is in ${path}, ${bytes} bytes`);
    });

const importAdapter = (world: World) =>
  verb('import', 'Import an adapter that HF PEFT, AdapterHub or Weft wrote', REMOTE)
    .argument('<name>', "the adapter's name", checkedBy(adapterName))
    .argument('<folder>', `its files: ${BUNDLE_FILES.join(', ')}, as far as there are`)
    .option(
      '--label <label...>',
      "the labels, in the order of the classifier's rows, unless weft.json says them",
    )
    .option('--base <model>', 'the base model, unless the files say it')
    .option('--pooling <pooling>', 'cls or mean, unless weft.json says it')
    .option('--max-length <tokens>', 'length to which texts are cut, unless weft.json says it', digits)
    .action(async (name, folder, options, command) => {
      const session = new Session(world, command);
      const client = await session.client();
      const form = await importForm(name, folder);
      const fields = {
        labels: options.label && JSON.stringify(options.label),
        base_model: options.base,
        pooling: options.pooling,
        max_length: options.maxLength,
      };
      for (const [field, value] of Object.entries(fields)) if (value !== undefined) form.set(field, value);
      const { raw, value } = await client.call(adapter, {
        method: 'POST',
        path: '/v1/adapters/import',
        form,
      });
      session.out.result(raw, () => `${value.id} is ${value.status}`);
      session.out.next(`weft classify ${value.id} 'a text'`);
    });

function digits(given: string): string {
  if (/^\d{1,6}$/.test(given)) return given;
  throw new InvalidArgumentError('It must be a whole number.');
}

function getAdapter(client: Client, ref: string) {
  return client.call(adapter, { method: 'GET', path: `/v1/adapters/${ref}` });
}

async function importForm(name: string, folder: string): Promise<FormData> {
  const form = new FormData();
  form.set('name', name);
  let found = 0;
  for (const file of BUNDLE_FILES) {
    const blob = await blobOf(join(folder, file)).catch((error) => {
      if (error instanceof Failure && (error.cause as NodeJS.ErrnoException)?.code === 'ENOENT')
        return undefined;
      throw error;
    });
    if (!blob) continue;
    form.set(file, blob, file);
    found += 1;
  }
  if (found > 0) return form;
  throw new Failure('failed', 'file_unreadable', `${folder} has none of ${BUNDLE_FILES.join(', ')}`);
}

/**
 * Writes an adapter's own files into a new folder, each checked by its hash, and returns their bytes. Where that fails, a new folder is gone
 * again.
 */
async function writeFiles(
  client: Client,
  { id, files }: Adapter,
  folder: string,
  replaces: boolean,
): Promise<number> {
  if (!files) {
    const message = `${id} is not ready, so it has no files.`;
    throw new Failure('failed', 'adapter_not_ready', message, { next: ['weft jobs list'] });
  }
  const made = await mkdir(folder).then(
    () => true,
    (error) => {
      if (replaces && (error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw fileFailure(error, folder) ?? error;
    },
  );
  let bytes = 0;
  try {
    for (const { name, sha256 } of files) {
      // The name is one of a closed set, so it leads nowhere else.
      const chunks = await client.download({ method: 'GET', path: `/v1/adapters/${id}/files/${name}` });
      bytes += await saveStream(verified(chunks, sha256, name), join(folder, name), replaces);
    }
    return bytes;
  } catch (error) {
    if (made) await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function* verified(
  chunks: AsyncIterable<Uint8Array>,
  sha256: string,
  name: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest('hex') === sha256) return;
  throw new Failure(
    'transient',
    'connection_failed',
    `${name} arrived broken: its hash is not the adapter's`,
  );
}

async function writeMerged(
  client: Client,
  { id }: Adapter,
  path: string,
  replaces: boolean,
): Promise<number> {
  const chunks = await client.download({
    method: 'POST',
    path: `/v1/adapters/${id}/export`,
    json: { format: 'merged' },
    isSafe: true,
  });
  return saveStream(chunks, path, replaces);
}

function adapterTable(shown: Adapter): string {
  const { error } = shown;
  return fields([
    ['adapter', shown.id],
    ['status', shown.status],
    ['base model', `${shown.base_model}, ${shown.base_precision}`],
    ['method', shown.method.type],
    ['labels', shown.labels?.length.toString()],
    ['numbers trained', shown.trained_parameters?.toString()],
    ['bytes', shown.size_bytes?.toString()],
    ['job', shown.job_id],
    ['created', ago(shown.created_at)],
    ['error', error && `${error.code}: ${error.message}`],
  ]);
}

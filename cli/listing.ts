import { InvalidArgumentError, Option } from '@commander-js/extra-typings';
import type { z } from 'zod';
import { MAX_PAGE } from '../shared/api/common.ts';
import type { Client } from './client.ts';
import type { Session } from './session.ts';
import { duration } from './terminal/progress.ts';
import { table } from './terminal/tables.ts';

export const limitOption = () =>
  new Option('--limit <n>', `most entries, 1 to ${MAX_PAGE}`).default(20).argParser((given) => {
    const limit = Number(given);
    if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_PAGE) return limit;
    throw new InvalidArgumentError(`It must be 1 to ${MAX_PAGE}.`);
  });
export const afterOption = () =>
  new Option('--after <id>', 'only entries after this one, to go on from a page');

/** A schema of pages, as `listOf` makes them. */
type PageSchema<T> = z.ZodType<{ data: T[]; has_more: boolean; last_id: string | null }>;

interface Listing<T> {
  path: string;
  query: Readonly<Record<string, string | undefined>>;
  head: readonly string[];
  row: (item: T) => readonly string[];
  /** Said where there is nothing. */
  none: string;
}

/** Asks for one page and prints it: the API's list with `--json`, else a table. */
export async function printPage<T>(
  session: Session,
  client: Client,
  schema: PageSchema<T>,
  { path, query, head, row, none }: Listing<T>,
): Promise<void> {
  const { raw, value } = await client.call(schema, { method: 'GET', path, query });
  const { out } = session;
  out.result(raw, () => (value.data.length === 0 ? `  ${none}` : table([head, ...value.data.map(row)])));
  if (value.has_more) out.note(`There are more: --after ${value.last_id}`);
}

/** How long ago a Unix second was. */
export function ago(seconds: number | null): string {
  if (seconds === null) return '–';
  return `${duration(Math.max(0, Date.now() / 1000 - seconds))} ago`;
}

/** How long it is until a Unix second; "never" for null. */
export function until(seconds: number | null): string {
  if (seconds === null) return 'never';
  const left = seconds - Date.now() / 1000;
  return left <= 0 ? 'now' : `in ${duration(left)}`;
}

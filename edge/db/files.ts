import { and, eq, getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { File } from '../../shared/api/datasets.ts';
import { batch, type Db, statement } from './client.ts';
import { isAbridged, unlessLong } from './listed.ts';
import { claimObjects } from './objects.ts';
import { beyond, byAge, type Paging } from './paging.ts';
import { files, jobs, objects, tasks } from './schema.ts';
import { noteVacancies, placeOf } from './vacancies.ts';

export type FileRow = typeof files.$inferSelect;
export type NewFile = Omit<FileRow, 'seq'> & { abridged?: boolean | null };

/** The columns that a list shows: many labels are left out. */
const listedFiles = {
  ...getTableColumns(files),
  labels: unlessLong(files.labels, sql`'{}'`),
  report: unlessLong(files.report, sql`NULL`),
  abridged: isAbridged(files.labels, files.report),
};

/** Registers a file and claims its object, if the object is there. Returns whether it was registered. */
export async function insertFile(db: Db, file: NewFile): Promise<boolean> {
  const { inserted } = await batch(db, {
    inserted: statement(
      db,
      sql`INSERT INTO ${files} (id, tenant, filename, bytes, examples, labels, warnings, skipped, report, errors_key, object_key, created_at)
      SELECT ${file.id}, ${file.tenant}, ${file.filename}, ${file.bytes}, ${file.examples},
        ${JSON.stringify(file.labels)}, ${JSON.stringify(file.warnings)}, ${JSON.stringify(file.skipped)},
        ${JSON.stringify(file.report)}, ${file.errorsKey}, ${file.objectKey}, ${file.createdAt}
      WHERE EXISTS (SELECT 1 FROM ${objects} WHERE key = ${file.objectKey} AND sha256 IS NOT NULL)
      RETURNING id`,
    ),
    object: claimObjects(db, [file.objectKey, ...(file.errorsKey === null ? [] : [file.errorsKey])]),
  });
  return inserted.length > 0;
}

/** Finds a tenant's file. */
export async function findFile(db: Db, tenant: string, id: string): Promise<FileRow | undefined> {
  const rows = await db
    .select()
    .from(files)
    .where(and(eq(files.id, id), eq(files.tenant, tenant)));
  return rows[0];
}

/** The key of a tenant's file in R2, and the SHA-256 of its content. */
export async function findContent(
  db: Db,
  tenant: string,
  id: string,
): Promise<{ key: string; sha256: string | null } | undefined> {
  const rows = await db
    .select({ key: files.objectKey, sha256: objects.sha256 })
    .from(files)
    .innerJoin(objects, eq(objects.key, files.objectKey))
    .where(and(eq(files.id, id), eq(files.tenant, tenant)));
  return rows[0];
}

/** A page of files, with one more where the list goes on. Returns undefined where `after` is no file. */
export async function pageOfFiles(
  db: Db,
  tenant: string,
  { after, limit, order }: Paging,
): Promise<FileRow[] | undefined> {
  let rest: SQL | undefined;
  if (after !== undefined) {
    const standing = sql`SELECT seq FROM ${files} WHERE id = ${after} AND tenant = ${tenant}`;
    const last = await placeOf(db, tenant, after, standing);
    if (last === undefined) return undefined;
    rest = beyond(files.seq, last, order);
  }
  return db
    .select(listedFiles)
    .from(files)
    .where(and(eq(files.tenant, tenant), rest))
    .orderBy(byAge(files.seq, order))
    .limit(limit + 1);
}

/**
 * Deletes a file that no unfinished job or task needs, and makes its objects due for deletion. Returns their keys, or undefined where there
 * is no such file or one of them needs it.
 */
export async function deleteFile(
  db: Db,
  tenant: string,
  id: string,
  now: number,
): Promise<string[] | undefined> {
  const needed = sql`EXISTS (SELECT 1 FROM ${jobs} WHERE training_file = ${id} AND status IN ('queued', 'running'))
    OR EXISTS (SELECT 1 FROM ${jobs} WHERE validation_file = ${id} AND status IN ('queued', 'running'))
    OR EXISTS (SELECT 1 FROM ${tasks} WHERE file = ${id} AND status IN ('queued', 'running'))`;
  const doomed = sql`${files.id} = ${id} AND ${files.tenant} = ${tenant} AND NOT (${needed})`;
  const { gone } = await batch(db, {
    vacancy: noteVacancies(db, sql`SELECT tenant, id, seq FROM ${files} WHERE ${doomed}`, now),
    object: statement(
      db,
      sql`UPDATE ${objects} SET expires_at = ${now}
      WHERE key IN (SELECT object_key FROM ${files} WHERE ${doomed} UNION ALL SELECT errors_key FROM ${files} WHERE ${doomed})`,
    ),
    gone: db.delete(files).where(doomed).returning({ key: files.objectKey, errorsKey: files.errorsKey }),
  });
  return gone[0] && Object.values(gone[0]).filter((key) => key !== null);
}

/** The file as the API shows it. */
export function viewFile(file: NewFile): File {
  const { id, filename, bytes, createdAt, examples, labels, warnings, skipped, report, abridged } = file;
  const fixed = { object: 'file', purpose: 'fine-tune' } as const;
  const shown = { filename, bytes, created_at: createdAt, examples, labels, warnings, skipped, report };
  return { id, ...fixed, ...shown, ...(abridged && { abridged }) };
}

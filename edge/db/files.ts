import { and, eq, getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { File, Purpose } from '../../shared/api/datasets.ts';
import { batch, type Db, statement } from './client.ts';
import { isAbridged, unlessLong } from './listed.ts';
import { claimObjects } from './objects.ts';
import { beyond, byAge, type Paging } from './paging.ts';
import { files, jobs, objects, tasks } from './schema.ts';
import { unfinished } from './unfinished.ts';
import { noteVacancies, placeOf } from './vacancies.ts';

export type FileRow = typeof files.$inferSelect;
export type NewFile = Omit<FileRow, 'seq'> & { abridged?: boolean | null };

/** Most files that expire in one run of the cron. */
const EXPIRE_CHUNK = 500;

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
    inserted: fileWhere(db, file, sql`1`),
    object: claimObjects(db, [file.objectKey, ...(file.errorsKey === null ? [] : [file.errorsKey])]),
  });
  return inserted.length > 0;
}

/** A statement for a batch: registers a file whose object is there, if `condition` holds. It gives back the id. */
export function fileWhere(db: Db, file: NewFile, condition: SQL) {
  const { labels, warnings, skipped, report } = file;
  return statement(
    db,
    sql`INSERT INTO ${files} (id, tenant, filename, purpose, bytes, examples, labels, warnings, skipped, report, errors_key, object_key,
        created_at, expires_at)
      SELECT ${file.id}, ${file.tenant}, ${file.filename}, ${file.purpose}, ${file.bytes}, ${file.examples},
        ${JSON.stringify(labels)}, ${JSON.stringify(warnings)}, ${JSON.stringify(skipped)},
        ${report && JSON.stringify(report)}, ${file.errorsKey}, ${file.objectKey}, ${file.createdAt}, ${file.expiresAt}
      WHERE EXISTS (SELECT 1 FROM ${objects} WHERE key = ${file.objectKey} AND sha256 IS NOT NULL) AND ${condition}
      RETURNING id`,
  );
}

/** Finds a tenant's file. */
export async function findFile(db: Db, tenant: string, id: string): Promise<FileRow | undefined> {
  const rows = await db
    .select()
    .from(files)
    .where(and(eq(files.id, id), eq(files.tenant, tenant)));
  return rows[0];
}

/** A tenant's file as it lies in R2: its key, its purpose, and the SHA-256 of its content. */
export async function findContent(
  db: Db,
  tenant: string,
  id: string,
): Promise<{ key: string; purpose: Purpose; sha256: string | null } | undefined> {
  const rows = await db
    .select({ key: files.objectKey, purpose: files.purpose, sha256: objects.sha256 })
    .from(files)
    .innerJoin(objects, eq(objects.key, files.objectKey))
    .where(and(eq(files.id, id), eq(files.tenant, tenant)));
  return rows[0];
}

export interface FileFilter extends Paging {
  purpose: Purpose | undefined;
}

/** A page of files, with one more where the list goes on. Returns undefined where `after` is no file. */
export async function pageOfFiles(
  db: Db,
  tenant: string,
  { after, limit, order, purpose }: FileFilter,
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
    .where(and(eq(files.tenant, tenant), purpose && eq(files.purpose, purpose), rest))
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
  const keys = await dropFiles(db, sql`${files.id} = ${id} AND ${files.tenant} = ${tenant}`, now);
  return keys.length > 0 ? keys : undefined;
}

/** Deletes files whose time has come, a bounded number of them, as `deleteFile` does. The sweep takes their objects. */
export async function deleteExpiredFiles(db: Db, now: number): Promise<void> {
  const due = sql`SELECT seq FROM ${files} WHERE expires_at IS NOT NULL AND expires_at <= ${now}
    ORDER BY expires_at LIMIT ${EXPIRE_CHUNK}`;
  await dropFiles(db, sql`${files.seq} IN (${due})`, now);
}

/** Deletes the files among `which` that no unfinished job or task needs. Returns their objects' keys. */
async function dropFiles(db: Db, which: SQL, now: number): Promise<string[]> {
  const needed = sql`EXISTS (SELECT 1 FROM ${jobs} WHERE training_file = ${files.id} AND status IN (${unfinished}))
    OR EXISTS (SELECT 1 FROM ${jobs} WHERE validation_file = ${files.id} AND status IN (${unfinished}))
    OR EXISTS (SELECT 1 FROM ${tasks} WHERE file = ${files.id} AND status IN ('queued', 'running'))`;
  const doomed = sql`${which} AND NOT (${needed})`;
  const { gone } = await batch(db, {
    vacancy: noteVacancies(db, sql`SELECT tenant, id, seq FROM ${files} WHERE ${doomed}`, now),
    object: statement(
      db,
      sql`UPDATE ${objects} SET expires_at = ${now}
      WHERE key IN (SELECT object_key FROM ${files} WHERE ${doomed} UNION ALL SELECT errors_key FROM ${files} WHERE ${doomed})`,
    ),
    gone: db.delete(files).where(doomed).returning({ key: files.objectKey, errorsKey: files.errorsKey }),
  });
  return gone.flatMap((keys) => Object.values(keys).filter((key) => key !== null));
}

/** The file as the API shows it. */
export function viewFile(file: NewFile): File {
  const { id, purpose, filename, bytes, createdAt, examples, labels, warnings, skipped, report } = file;
  const fixed = { object: 'file', status: 'processed' } as const;
  const shown = {
    purpose,
    filename,
    bytes,
    created_at: createdAt,
    examples,
    labels,
    warnings,
    skipped,
    report,
  };
  const expiry = file.expiresAt !== null && { expires_at: file.expiresAt };
  return { id, ...fixed, ...shown, ...expiry, ...(file.abridged && { abridged: true }) };
}

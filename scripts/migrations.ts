import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { Miniflare } from 'miniflare';

export type LocalDatabase = Awaited<ReturnType<Miniflare['getD1Database']>>;

/** The table in which `wrangler d1 migrations apply` records applied files, so that either tool can continue where the other stopped. */
const ACCOUNT = `CREATE TABLE IF NOT EXISTS d1_migrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

/** The table with the content hash of each applied file, which wrangler does not record. */
const CONTENTS = 'CREATE TABLE IF NOT EXISTS local_migrations (name TEXT PRIMARY KEY, sha256 TEXT NOT NULL)';

/**
 * Applies the migrations of `folder` that the database has not seen, each completely or not at all.
 * @throws {OtherVersion} where an applied migration is missing from `folder` or has changed: another version made the database.
 */
export async function applyMigrations(db: LocalDatabase, folder: URL): Promise<void> {
  await db.batch([db.prepare(ACCOUNT), db.prepare(CONTENTS)]);
  const { results } = await db
    .prepare('SELECT name, sha256 FROM d1_migrations LEFT JOIN local_migrations USING (name)')
    .all<{ name: string; sha256: string | null }>();
  const applied = new Map(results.map((row) => [row.name, row.sha256]));
  for (const name of (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort()) {
    const text = await readFile(new URL(name, folder), 'utf8');
    const sha256 = createHash('sha256').update(text).digest('hex');
    const seen = applied.get(name);
    applied.delete(name);
    if (seen === undefined) await apply(db, name, text, sha256);
    else if (seen !== null && seen !== sha256) throw madeByAnother(name);
  }
  for (const name of applied.keys()) throw madeByAnother(name);
}

async function apply(db: LocalDatabase, name: string, text: string, sha256: string): Promise<void> {
  await db.batch([
    ...text.split('--> statement-breakpoint').map((sql) => db.prepare(sql)),
    db.prepare('INSERT INTO d1_migrations (name) VALUES (?)').bind(name),
    db.prepare('INSERT INTO local_migrations (name, sha256) VALUES (?, ?)').bind(name, sha256),
  ]);
}

/** Another version's database, which this version cannot use. */
export class OtherVersion extends Error {
  override name = 'OtherVersion';
}

function madeByAnother(name: string): OtherVersion {
  return new OtherVersion(`its database was made by another version of Weft (migration ${name} differs)`);
}

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { applyMigrations, type LocalDatabase } from '../../../scripts/migrations.ts';

let miniflare: Miniflare;
let db: LocalDatabase;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-migrations-'));
  miniflare = new Miniflare(
    convertV4MiniflareOptions({ modules: true, script: 'export default {}', d1Databases: ['DB'] }),
  );
  db = await miniflare.getD1Database('DB');
});

afterAll(async () => {
  await miniflare.dispose();
  await rm(folder, { recursive: true });
});

const put = (name: string, sql: string) => writeFile(join(folder, name), sql);
const migrate = () => applyMigrations(db, pathToFileURL(`${folder}/`));

it('applies each migration once, and none to a database that another version made', async () => {
  const first = 'CREATE TABLE a (x INTEGER);\n--> statement-breakpoint\nCREATE TABLE b (x INTEGER);';
  await put('0000_a.sql', first);
  await migrate();
  await put('0001_c.sql', 'CREATE TABLE c (x INTEGER);');
  await migrate();
  await migrate();
  expect((await db.prepare('SELECT * FROM c').all()).results).toEqual([]);

  await put('0000_a.sql', first.replace('x INTEGER', 'y INTEGER'));
  await expect(migrate()).rejects.toThrow('another version of Weft (migration 0000_a.sql differs)');
  await put('0000_a.sql', first);
  await rm(join(folder, '0001_c.sql'));
  await expect(migrate()).rejects.toThrow('migration 0001_c.sql');
});

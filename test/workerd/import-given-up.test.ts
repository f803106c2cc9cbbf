import { eq } from 'drizzle-orm';
import { expect, it } from 'vitest';
import { type ImportedAdapter, insertImported } from '../../edge/db/adapter-import.ts';
import { proposeChange, settleChange } from '../../edge/db/changes.ts';
import { deletions, objects } from '../../edge/db/schema.ts';
import { db } from './support/api.ts';

const KEY = 'adapters/import_given_up/weft.json';

it('an import whose change was given up leaves its files to the sweep, and the tombstone of an equal bundle', async () => {
  await db.insert(objects).values({ key: KEY, bytes: 2, sha256: 'a', createdAt: 1, expiresAt: 2 });
  await db.insert(deletions).values({ bundle: 'equal', createdAt: 1 });
  const { seq } = await proposeChange(db, 'someone', 'spam', 1);
  await settleChange(db, seq);

  const adapter = {
    tenant: 'someone',
    name: 'spam',
    base: { id: 'tiny', sha256: 'b' },
    method: { type: 'lora' },
    labels: ['ham', 'spam'],
    metrics: null,
    bundle: 'equal',
    manifest: [{ name: 'weft.json', bytes: 2, sha256: 'a' }],
    prefix: 'adapters/import_given_up/',
  } as unknown as ImportedAdapter;
  await expect(insertImported(db, adapter, seq, 1)).rejects.toThrow('given up');

  expect(await db.select().from(objects).where(eq(objects.key, KEY))).toMatchObject([{ expiresAt: 2 }]);
  expect(await db.select().from(deletions).where(eq(deletions.bundle, 'equal'))).toHaveLength(1);
});

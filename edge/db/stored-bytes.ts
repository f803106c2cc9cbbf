import { sql } from 'drizzle-orm';
import type { Db } from './client.ts';
import { adapters, files, objects } from './schema.ts';

/** Something stored and its size, as `/v1/files/ID` or `/v1/adapters/ID`. */
export interface StoredThing {
  path: string;
  bytes: number;
}

/** How many of the largest things a refusal names. */
const NAMED = 3;

/** The bytes that a tenant stores, and the largest things among them. It reads all that the tenant has, so it is for what stores more alone. */
export async function storedBytes(
  db: Db,
  tenant: string,
): Promise<{ bytes: number; largest: StoredThing[] }> {
  const things = await db.all<StoredThing & { total: number }>(sql`
    SELECT path, bytes, sum(bytes) OVER () AS total FROM (
      SELECT '/v1/files/' || ${files.id} AS path, coalesce(${objects.bytes}, 0) AS bytes
      FROM ${files} LEFT JOIN ${objects} ON ${objects.key} = ${files.objectKey} WHERE ${files.tenant} = ${tenant}
      UNION ALL
      SELECT '/v1/adapters/' || ${adapters.name} || '@' || ${adapters.version},
        (SELECT sum(m.value ->> 'bytes') FROM json_each(${adapters.manifest}) AS m)
      FROM ${adapters} WHERE ${adapters.tenant} = ${tenant} AND ${adapters.bundle} IS NOT NULL)
    ORDER BY bytes DESC LIMIT ${NAMED}`);
  return { bytes: things[0]?.total ?? 0, largest: things.map(({ path, bytes }) => ({ path, bytes })) };
}

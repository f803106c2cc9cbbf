import { and, desc, eq, exists, or, type SQL, sql } from 'drizzle-orm';
import type { AdapterBase } from '../../shared/adapter-check.ts';
import type { BundleManifest } from '../../shared/adapter-format.ts';
import type { PackedMetrics } from '../../shared/packed-metrics.ts';
import type { PeftConfig } from '../../shared/peft-config.ts';
import type { ImportBase } from '../base-models.ts';
import { isPending } from './changes.ts';
import { batch, type Db, statement } from './client.ts';
import { knownPrecisions } from './nodes.ts';
import { claimObjects } from './objects.ts';
import { adapterNames, adapters, deletions, nodeBaseModels, nodes, objects } from './schema.ts';

/** The base model that has this id or PEFT name, as the most recently heard node has it; `default` means that node's first. */
export function findImportBase(db: Db, name: string): Promise<ImportBase | undefined> {
  const { baseModel, position, peftName } = nodeBaseModels;
  return findBase(db, name === 'default' ? eq(position, 0) : or(eq(baseModel, name), eq(peftName, name))!);
}

/** The exact base model that an adapter was trained on: the same id and the same weights. */
export function findTrainedBase(db: Db, id: string, sha256: string): Promise<ImportBase | undefined> {
  return findBase(db, and(eq(nodeBaseModels.baseModel, id), eq(nodeBaseModels.sha256, sha256))!);
}

async function findBase(db: Db, which: SQL): Promise<ImportBase | undefined> {
  const rows = await db
    .select({
      id: nodeBaseModels.baseModel,
      sha256: nodeBaseModels.sha256,
      precisions: knownPrecisions,
      family: nodeBaseModels.family,
      hidden_size: nodeBaseModels.hiddenSize,
      num_layers: nodeBaseModels.numLayers,
      max_length: nodeBaseModels.maxLength,
      intermediate_size: nodeBaseModels.intermediateSize,
      poolings: nodeBaseModels.poolings,
    })
    .from(nodeBaseModels)
    .innerJoin(nodes, eq(nodes.id, nodeBaseModels.nodeId))
    .where(which)
    .orderBy(desc(nodes.lastSeen))
    .limit(1);
  if (!rows[0]) return undefined;
  const { intermediate_size, poolings, ...base } = rows[0];
  return { ...base, ...(intermediate_size && { intermediate_size }), ...(poolings && { poolings }) };
}

export interface ImportedAdapter {
  tenant: string;
  name: string;
  base: AdapterBase;
  method: PeftConfig;
  labels: string[];
  metrics: { validation: PackedMetrics } | null;
  bundle: string;
  manifest: BundleManifest;
  /** R2 prefix of the manifest's files; it ends in a slash. */
  prefix: string;
}

/**
 * Registers an adapter that is ready at once, as its name's next version, if its files are there and `change` is still pending. Returns the
 * version.
 */
export async function insertImported(
  db: Db,
  adapter: ImportedAdapter,
  change: number,
  now: number,
): Promise<number> {
  const { tenant, name, base, method, labels, metrics, bundle, manifest, prefix } = adapter;
  const keys = manifest.map((entry) => prefix + entry.name);
  const stored = sql`(SELECT count(*) FROM ${objects} WHERE sha256 IS NOT NULL
    AND key IN (SELECT value FROM json_each(${JSON.stringify(keys)})))`;
  // The prefix is this import's alone.
  const isThis = and(eq(adapters.tenant, tenant), eq(adapters.name, name), eq(adapters.prefix, prefix));
  const isInserted = exists(db.select().from(adapters).where(isThis));
  const { inserted } = await batch(db, {
    name: db
      .insert(adapterNames)
      .values({ tenant, name, lastVersion: 1 })
      .onConflictDoUpdate({
        target: [adapterNames.tenant, adapterNames.name],
        set: { lastVersion: sql`${adapterNames.lastVersion} + 1` },
      }),
    inserted: statement<{ version: number }>(
      db,
      sql`INSERT INTO ${adapters} (tenant, name, version, base_model, base_model_sha256,
        method, metadata, created_at, bundle, manifest, prefix, labels, metrics, ready_at)
      SELECT ${tenant}, ${name}, last_version, ${base.id}, ${base.sha256}, ${JSON.stringify(method)}, '{}', ${now},
        ${bundle}, ${JSON.stringify(manifest)}, ${prefix}, ${JSON.stringify(labels)},
        ${metrics && JSON.stringify(metrics)}, ${now}
      FROM ${adapterNames} WHERE tenant = ${tenant} AND name = ${name} AND ${stored} = ${keys.length}
        AND ${isPending(change)}
      RETURNING version`,
    ),
    objects: claimObjects(db, keys, isInserted),
    // Equal files give an equal bundle, so an old tombstone would make nodes drop an adapter that is imported again.
    tombstone: db.delete(deletions).where(and(eq(deletions.bundle, bundle), isInserted)),
  });
  if (!inserted[0])
    throw new Error(
      `the objects under ${prefix} were swept, or its change given up, before they were claimed`,
    );
  return inserted[0].version;
}

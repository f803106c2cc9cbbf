import { eq, gt, lt, notExists, sql } from 'drizzle-orm';
import type { RegisterNode, ServingState } from '../../shared/api/nodes.ts';
import { NODE_TTL_SECONDS } from '../../shared/job-state.ts';
import type { LiveNode, TrainableBase } from '../base-models.ts';
import { changesAfter, servingState } from './changes.ts';
import { batch, type Db } from './client.ts';
import { nodeBaseModels, nodes } from './schema.ts';

/** Stores a node and its base models in place of what was known of it. Returns the serving state that it starts with. */
export async function saveNode(db: Db, node: RegisterNode, now: number): Promise<ServingState> {
  const { id, url, device, slots, version } = node;
  const values = { url, device, slots, version, registeredAt: now, lastSeen: now };
  const models = node.base_models.map((model, position) =>
    db.insert(nodeBaseModels).values({
      nodeId: id,
      baseModel: model.id,
      position,
      sha256: model.sha256,
      precisions: model.precisions,
      family: model.family,
      hiddenSize: model.hidden_size,
      numLayers: model.num_layers,
      maxLength: model.max_length,
      intermediateSize: model.intermediate_size ?? null,
      poolings: model.poolings ?? null,
      weightsBytes: model.weights_bytes ?? null,
      peftName: model.peft_name ?? null,
    }),
  );
  const { ends } = await batch(db, {
    ...changesAfter(db, null),
    node: db
      .insert(nodes)
      .values({ id, ...values })
      .onConflictDoUpdate({ target: nodes.id, set: values }),
    earlier: db.delete(nodeBaseModels).where(eq(nodeBaseModels.nodeId, id)),
    models,
  });
  return servingState(null, ends[0]!, []);
}

/** Marks a node as ended: it gets no traffic, and no change waits for it. Jobs for its base models keep waiting. */
export async function leaveNode(db: Db, id: string, now: number): Promise<void> {
  await db
    .update(nodes)
    .set({ lastSeen: now - NODE_TTL_SECONDS })
    .where(eq(nodes.id, id));
}

/** The nodes that may get traffic, in the order of their ids. */
export async function liveNodes(db: Db, now: number): Promise<LiveNode[]> {
  const rows = await db
    .select({
      id: nodes.id,
      url: nodes.url,
      baseModel: nodeBaseModels.baseModel,
      sha256: nodeBaseModels.sha256,
      precisions: nodeBaseModels.precisions,
      maxLength: nodeBaseModels.maxLength,
    })
    .from(nodes)
    .innerJoin(nodeBaseModels, eq(nodeBaseModels.nodeId, nodes.id))
    .where(gt(nodes.lastSeen, now - NODE_TTL_SECONDS))
    .orderBy(nodes.id, nodeBaseModels.position);
  const byId = new Map<string, LiveNode>();
  for (const { id, url, baseModel, ...model } of rows) {
    const node = byId.get(id) ?? { id, url, baseModels: [] };
    node.baseModels.push({ id: baseModel, ...model });
    byId.set(id, node);
  }
  return [...byId.values()];
}

/** What live nodes have, a row for each base model of each node, in the order of the nodes' ids. */
export async function servedBaseModels(db: Db, now: number) {
  return db
    .select({
      id: nodeBaseModels.baseModel,
      precisions: nodeBaseModels.precisions,
      registeredAt: nodes.registeredAt,
    })
    .from(nodes)
    .innerJoin(nodeBaseModels, eq(nodeBaseModels.nodeId, nodes.id))
    .where(gt(nodes.lastSeen, now - NODE_TTL_SECONDS))
    .orderBy(nodes.id, nodeBaseModels.position);
}

/** The precisions in which any known node has a base model, within a statement over `nodeBaseModels` and another table. */
export const knownPrecisions = sql<string[]>`(SELECT json_group_array(DISTINCT p.value)
  FROM ${nodeBaseModels} AS m, json_each(m.precisions) AS p
  WHERE m.base_model = ${nodeBaseModels.baseModel} AND m.sha256 = ${nodeBaseModels.sha256})`.mapWith(
  (list: string) => JSON.parse(list),
);

/**
 * The base model to train on: the one of the given id, or for `default` the first of the node heard of last. Silent nodes count too,
 * because a job waits for them.
 */
export async function findBaseModel(db: Db, id: string): Promise<TrainableBase | undefined> {
  const wanted = id === 'default' ? eq(nodeBaseModels.position, 0) : eq(nodeBaseModels.baseModel, id);
  const rows = await db
    .select({
      id: nodeBaseModels.baseModel,
      sha256: nodeBaseModels.sha256,
      precisions: knownPrecisions,
      maxLength: nodeBaseModels.maxLength,
      weightsBytes: nodeBaseModels.weightsBytes,
    })
    .from(nodeBaseModels)
    .innerJoin(nodes, eq(nodes.id, nodeBaseModels.nodeId))
    .where(wanted)
    .orderBy(sql`${nodes.lastSeen} DESC`)
    .limit(1);
  return rows[0];
}

/** Ids of the base models that any known node has, in alphabetical order. */
export async function knownBaseModels(db: Db): Promise<string[]> {
  const rows = await db
    .selectDistinct({ id: nodeBaseModels.baseModel })
    .from(nodeBaseModels)
    .orderBy(nodeBaseModels.baseModel);
  return rows.map((row) => row.id);
}

/** Forgets nodes that have been silent since before `before`. */
export async function forgetNodes(db: Db, before: number): Promise<void> {
  const owner = db.select({ id: nodes.id }).from(nodes).where(eq(nodes.id, nodeBaseModels.nodeId));
  await batch(db, {
    nodes: db.delete(nodes).where(lt(nodes.lastSeen, before)),
    models: db.delete(nodeBaseModels).where(notExists(owner)),
  });
}

import { readMetrics } from '../../shared/adapter-check.ts';
import {
  type BundleFile,
  type BundleManifest,
  canonicalManifest,
  WEFT_FILE,
} from '../../shared/adapter-format.ts';
import { AppError } from '../../shared/errors.ts';
import type { ImportBase } from '../base-models.ts';
import { unixNow } from '../clock.ts';
import { findImportBase, insertImported } from '../db/adapter-import.ts';
import { storable } from '../db/adapters.ts';
import type { Db } from '../db/client.ts';
import { knownBaseModels } from '../db/nodes.ts';
import type { Env } from '../env.ts';
import { randomHex, sha256Of } from '../hashing.ts';
import { changeName } from '../nodes/change-name.ts';
import type { NodeClient } from '../nodes/node-client.ts';
import { importPrefix } from '../objects/object-keys.ts';
import { ObjectWriter, putBytes } from '../objects/storage.ts';
import { receiveAdapter, THE_IMPORT } from '../upload/receive-adapter.ts';
import { describeForServing, parseImport } from './import-request.ts';

/**
 * Takes an adapter that HF PEFT or AdapterHub trained from a multipart body, and registers it, ready. Its weights are stored as they
 * arrive and claimed once everything has been checked. Returns the new adapter's reference, `name@version`.
 */
export async function importAdapter(
  env: Env,
  db: Db,
  nodes: NodeClient,
  tenant: string,
  body: AsyncIterable<Uint8Array>,
  boundary: string,
): Promise<string> {
  const prefix = importPrefix(randomHex(12));
  const writers = new Map<BundleFile, ObjectWriter>();
  const sinkOf = (file: BundleFile) => {
    const writer = new ObjectWriter(env, db, prefix + file);
    writers.set(file, writer);
    return writer;
  };
  try {
    const received = await receiveAdapter(body, boundary, sinkOf);
    const parsed = parseImport(received);
    const base = await chooseBase(db, parsed.baseModel);
    // Nodes know the base model by the id in the file, not by PEFT's name for it.
    if (parsed.weft && base.id !== parsed.weft.base_model)
      throw await unknownBase(db, parsed.weft.base_model);
    const weft = describeForServing(parsed, base);
    const metrics = readMetrics(weft, THE_IMPORT);
    const files = new Map(received.files);
    // The very bytes where they came along, so that a round trip gives an equal bundle.
    if (!files.has(WEFT_FILE)) files.set(WEFT_FILE, new TextEncoder().encode(`${JSON.stringify(weft)}\n`));
    const manifest: BundleManifest = [];
    for (const [name, bytes] of files) {
      manifest.push({ name, ...(await putBytes(env, db, prefix + name, bytes)) });
    }
    for (const [name, writer] of writers) manifest.push({ name, ...(await writer.finish()) });
    const bundle = await sha256Of(canonicalManifest(manifest));
    const { name } = parsed.fields;
    const adapter = {
      tenant,
      name,
      base,
      method: parsed.method,
      labels: weft.labels,
      metrics: metrics && { validation: storable(metrics) },
      bundle,
      manifest,
      prefix,
    };
    const version = await changeName(nodes, db, tenant, name, ({ seq }) =>
      insertImported(db, adapter, seq, unixNow()),
    );
    return `${name}@${version}`;
  } catch (error) {
    for (const writer of writers.values()) await writer.abort();
    throw error;
  }
}

async function chooseBase(db: Db, name: string | null): Promise<ImportBase> {
  const base = name === null ? undefined : await findImportBase(db, name);
  if (base) return base;
  throw await unknownBase(db, name);
}

async function unknownBase(db: Db, name: string | null): Promise<AppError> {
  const known = await knownBaseModels(db);
  const there = known.length > 0 ? `there is ${known.join(', ')}` : 'no node has joined yet';
  const message =
    name === null
      ? `base_model is required: adapter_config.json does not name it; ${there}.`
      : `No node has the base model ${JSON.stringify(name.slice(0, 128))}; ${there}. Name it by base_model.`;
  return new AppError('model_not_found', message, { param: 'base_model' });
}

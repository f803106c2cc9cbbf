import { parseWeftFile } from '../../shared/adapter-check.ts';
import { WEFT_FILE } from '../../shared/adapter-format.ts';
import { packedMetrics } from '../../shared/packed-metrics.ts';
import type { AdapterRow } from '../db/adapters.ts';
import type { Env } from '../env.ts';

/** Adds the confusion matrix to an adapter; one too large for the database row is read from the bundle's `weft.json`. */
export async function withMatrix(env: Pick<Env, 'BUCKET'>, row: AdapterRow): Promise<AdapterRow> {
  const { adapter } = row;
  const { metrics, prefix } = adapter;
  if (!metrics || prefix === null || metrics.validation.confusion_matrix.length > 0) return row;
  const file = await env.BUCKET.get(prefix + WEFT_FILE);
  if (!file) return row;
  const what = `adapter ${adapter.name}@${adapter.version}`;
  const { data } = packedMetrics.safeParse(parseWeftFile(await file.bytes(), what).metrics);
  return data ? { ...row, adapter: { ...adapter, metrics: { validation: data } } } : row;
}

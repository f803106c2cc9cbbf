import type { CompleteJob } from '../../shared/api/nodes.ts';
import { unixNow } from '../clock.ts';
import type { Db } from '../db/client.ts';
import { metricsOf } from '../db/event-pages.ts';
import type { NewFile } from '../db/files.ts';
import type { JobRow } from '../db/jobs.ts';
import type { Env } from '../env.ts';
import { newId } from '../hashing.ts';
import { resultsKey } from '../objects/object-keys.ts';
import { putBytes } from '../objects/storage.ts';

/** The columns behind `step`; where an epoch ends, the training loss is its mean. */
const COLUMNS = ['train_loss', 'valid_loss', 'valid_accuracy', 'valid_f1'] as const;

/**
 * Metrics by step as CSV, from the numbers that events carry, oldest first. A step that another attempt took again counts as it was the
 * last time.
 */
export function resultsCsv(metrics: readonly Readonly<Record<string, unknown>>[]): string {
  const bySteps = new Map<number, Record<string, unknown>>();
  for (const data of metrics) {
    const { step } = data;
    if (Number.isSafeInteger(step)) bySteps.set(step as number, { ...bySteps.get(step as number), ...data });
  }
  const lines = [...bySteps]
    .sort(([a], [b]) => a - b)
    .map(([step, data]) => [step, ...COLUMNS.map((name) => asCell(data[name]))].join(','));
  return `${[['step', ...COLUMNS].join(','), ...lines].join('\n')}\n`;
}

function asCell(value: unknown): string {
  return typeof value === 'number' && Number.isFinite(value) ? String(value) : '';
}

/** Stores the results of a training that is about to be completed. Completing it registers and claims the file. */
export async function storeResults(
  env: Env,
  db: Db,
  { id: jobId, tenant }: Pick<JobRow, 'id' | 'tenant'>,
  events: CompleteJob['events'],
): Promise<NewFile> {
  const latest = events.flatMap(({ type, data }) => (type === 'metrics' && data ? [data] : []));
  const csv = resultsCsv([...(await metricsOf(db, jobId)), ...latest]);
  const id = newId('file');
  const objectKey = resultsKey(id);
  const { bytes } = await putBytes(env, db, objectKey, new TextEncoder().encode(csv));
  return {
    id,
    tenant,
    filename: `${jobId}-results.csv`,
    purpose: 'fine-tune-results',
    bytes,
    examples: 0,
    labels: {},
    warnings: [],
    skipped: { count: 0, lines: [] },
    report: null,
    errorsKey: null,
    objectKey,
    createdAt: unixNow(),
    expiresAt: null,
  };
}

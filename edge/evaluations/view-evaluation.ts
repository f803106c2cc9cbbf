import { type Evaluation, storedEvaluationResult } from '../../shared/api/evaluations.ts';
import { unpackMetrics } from '../../shared/packed-metrics.ts';
import type { TaskRow } from '../db/tasks.ts';
import type { Env } from '../env.ts';

/** The evaluation as a list shows it. */
export function viewEvaluation(task: TaskRow): Evaluation {
  return {
    object: 'evaluation',
    id: task.id,
    status: task.status,
    models: task.models.map(({ ref }) => ref),
    file: task.file,
    rows: { total: task.rows, done: task.rowsDone },
    created_at: task.createdAt,
    started_at: task.startedAt,
    finished_at: task.finishedAt,
    error: task.error,
  };
}

/** The evaluation with what came of it, null while it has not succeeded. */
export async function wholeEvaluation(env: Pick<Env, 'BUCKET'>, task: TaskRow): Promise<Evaluation> {
  const shown = viewEvaluation(task);
  const object = task.resultKey === null ? null : await env.BUCKET.get(task.resultKey);
  if (!object) return { ...shown, results: null, comparisons: null };
  const { results, comparisons } = storedEvaluationResult.parse(await object.json());
  const unpacked = results.map((one) => ({ ...one, metrics: unpackMetrics(one.metrics) }));
  return { ...shown, results: unpacked, comparisons };
}

import type { TaskKind } from '../../shared/api/tasks.ts';
import { Evaluation } from './evaluation.ts';
import type { TaskWork, TaskWorkModel } from './task.ts';

/** What each kind of task makes of its rows. */
export const TASKS: Readonly<Record<TaskKind, (models: readonly TaskWorkModel[]) => TaskWork>> = {
  evaluation: (models) => new Evaluation(models),
};

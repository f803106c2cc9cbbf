import { z } from 'zod';
import { sha256Hex } from '../adapter-format.ts';
import { adapterRef } from './common.ts';
import { jobError } from './jobs.ts';

// A task is work over the rows of a file that a node does beside live traffic. Its node holds a lease, and uploads what came of the rows in
// parts, so that the next attempt goes on after the last part, and no row is done twice.

/** Kinds of tasks, and the beginnings of their ids. */
export const TASK_KINDS = { evaluation: 'eval' } as const;
export type TaskKind = keyof typeof TASK_KINDS;

export const taskKind = z.enum(Object.keys(TASK_KINDS) as [TaskKind, ...TaskKind[]]);
export const taskId = z.string().regex(/^[a-z]{1,8}_[A-Za-z0-9]{1,40}$/);
export const taskToken = z.string().regex(/^[0-9a-f]{32}$/);

/** Most models that a task may ask about each row. */
export const MAX_TASK_MODELS = 4;
/** Most rows and bytes of one part, and bytes of a result. */
export const MAX_PART_ROWS = 20_000;
export const MAX_PART_BYTES = 32 * 1024 * 1024;
export const MAX_RESULT_BYTES = 32 * 1024 * 1024;
export const MAX_PARTS = 100_000;

/** Header with the number of rows that an uploaded part is of. */
export const PART_ROWS_HEADER = 'x-part-rows';

/** An adapter that a task asks, as it was resolved when the task was made. */
export const taskModel = z.object({ ref: adapterRef, bundle: sha256Hex });
export type TaskModel = z.infer<typeof taskModel>;

/** A task's current attempt, with everything that a node needs to do it. */
export const taskLease = z.object({
  task_id: taskId,
  token: taskToken,
  kind: taskKind,
  attempt: z.int().positive(),
  /** The tenant whose fair share the rows count to. */
  tenant: z.string().min(1).max(64),
  models: z.array(taskModel).min(1).max(MAX_TASK_MODELS),
  /** Parts that earlier attempts uploaded, and the rows that they are of, counted from the file's first. */
  parts: z.int().nonnegative(),
  part_rows: z.int().nonnegative(),
  lease_seconds: z.number().positive(),
});
export type TaskLease = z.infer<typeof taskLease>;

/** A task in a heartbeat: it extends the lease. */
export const runningTask = z.strictObject({
  task_id: taskId,
  token: taskToken,
  rows_done: z.int().nonnegative(),
});
export type RunningTask = z.infer<typeof runningTask>;

/** `POST /internal/tasks/:id/complete`, after the result is uploaded. It is safe to send twice. */
export const completeTask = z.strictObject({ token: taskToken, rows: z.int().nonnegative() });
export type CompleteTask = z.infer<typeof completeTask>;

/** `POST /internal/tasks/:id/fail`: `retryable` sends it back to the queue while attempts are left. */
export const failTask = z.strictObject({ token: taskToken, error: jobError, retryable: z.boolean() });
export type FailTask = z.infer<typeof failTask>;

import { and, eq, getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { FailTask, RunningTask, TaskKind, TaskModel } from '../../shared/api/tasks.ts';
import { LEASE_SECONDS, MAX_ATTEMPTS } from '../../shared/job-state.ts';
import { batch, type Db, statement } from './client.ts';
import { claimObjects } from './objects.ts';
import { beyond, byAge, type Paging } from './paging.ts';
import { files, nodeBaseModels, objects, type ResolvedTaskModel, taskParts, tasks } from './schema.ts';
import { noteVacancies, placeOf } from './vacancies.ts';

export type TaskRow = typeof tasks.$inferSelect;

export interface NewTask {
  id: string;
  tenant: string;
  kind: TaskKind;
  file: string;
  models: ResolvedTaskModel[];
}

const unfinished = sql`${tasks.status} IN ('queued', 'running')`;

/** Matches the task while exactly this lease holds. */
const leased = (id: string, token: string) =>
  and(eq(tasks.id, id), eq(tasks.leaseToken, token), eq(tasks.status, 'running'))!;

/** How many tasks of a kind a tenant has, and how many of them have not ended. */
export async function countTasks(db: Db, tenant: string, kind: TaskKind) {
  const ofKind = and(eq(tasks.tenant, tenant), eq(tasks.kind, kind));
  return {
    all: await db.$count(tasks, ofKind),
    unfinished: await db.$count(tasks, and(eq(tasks.tenant, tenant), unfinished, eq(tasks.kind, kind))),
  };
}

/** Queues a task over all rows of a file, if the tenant has the file. Returns whether it was queued. */
export async function createTask(db: Db, task: NewTask, now: number): Promise<boolean> {
  const { id, tenant, kind, file, models } = task;
  const made =
    await db.all(sql`INSERT INTO ${tasks} (id, tenant, kind, file, file_key, models, rows, created_at)
    SELECT ${id}, ${tenant}, ${kind}, ${files.id}, ${files.objectKey}, ${JSON.stringify(models)}, ${files.examples}, ${now}
    FROM ${files} WHERE ${files.id} = ${file} AND ${files.tenant} = ${tenant} RETURNING id`);
  return made.length > 0;
}

export async function findTask(
  db: Db,
  tenant: string,
  kind: TaskKind,
  id: string,
): Promise<TaskRow | undefined> {
  const rows = await db
    .select()
    .from(tasks)
    .where(and(eq(tasks.id, id), eq(tasks.tenant, tenant), eq(tasks.kind, kind)));
  return rows[0];
}

/** Finds any tenant's task: nodes prove by their lease that they may act on it. */
export async function findAnyTask(db: Db, id: string): Promise<TaskRow | undefined> {
  const rows = await db.select().from(tasks).where(eq(tasks.id, id));
  return rows[0];
}

/** A page of tasks of a kind, with one more where the list goes on. Returns undefined where `after` is none of them. */
export async function pageOfTasks(
  db: Db,
  tenant: string,
  kind: TaskKind,
  { after, limit, order }: Paging,
): Promise<TaskRow[] | undefined> {
  let rest: SQL | undefined;
  if (after !== undefined) {
    const standing = sql`SELECT seq FROM ${tasks} WHERE id = ${after} AND tenant = ${tenant}`;
    const last = await placeOf(db, tenant, after, standing);
    if (last === undefined) return undefined;
    rest = beyond(tasks.seq, last, order);
  }
  return db
    .select(getTableColumns(tasks))
    .from(tasks)
    .where(and(eq(tasks.tenant, tenant), eq(tasks.kind, kind), rest))
    .orderBy(byAge(tasks.seq, order))
    .limit(limit + 1);
}

/** Cancels a task that has not ended. Returns whether it was cancelled. */
export async function cancelTask(db: Db, tenant: string, id: string, now: number): Promise<boolean> {
  const rows = await db
    .update(tasks)
    .set({ status: 'cancelled', finishedAt: now, leaseUntil: null })
    .where(and(eq(tasks.id, id), eq(tasks.tenant, tenant), unfinished))
    .returning({ id: tasks.id });
  return rows.length > 0;
}

/** Deletes a task, which is so cancelled, and makes its result due for deletion. Returns whether there was one. */
export async function deleteTask(db: Db, tenant: string, id: string, now: number): Promise<boolean> {
  const doomed = and(eq(tasks.id, id), eq(tasks.tenant, tenant))!;
  const { gone } = await batch(db, {
    vacancy: noteVacancies(db, sql`SELECT tenant, id, seq FROM ${tasks} WHERE ${doomed}`, now),
    result: db
      .update(objects)
      .set({ expiresAt: now })
      .where(sql`${objects.key} = (SELECT result_key FROM ${tasks} WHERE ${doomed})`),
    gone: db.delete(tasks).where(doomed).returning({ id: tasks.id }),
  });
  return gone.length > 0;
}

/** Statements for a heartbeat: the states of the node's tasks, their leases extended, and a task for a node that wants one. */
export function beatTasks(
  db: Db,
  nodeId: string,
  { running, wants }: { running: RunningTask[]; wants: boolean },
  token: string,
  now: number,
) {
  const ids = JSON.stringify(running.map((task) => task.task_id));
  const lost = sql`${tasks.status} = 'running' AND (${tasks.leaseUntil} < ${now}
    OR (${tasks.nodeId} = ${nodeId} AND ${tasks.id} NOT IN (SELECT value FROM json_each(${ids}))))`;
  return {
    heldTasks:
      running.length === 0
        ? undefined
        : db
            .select({ id: tasks.id, status: tasks.status, token: tasks.leaseToken })
            .from(tasks)
            .where(sql`${tasks.id} IN (SELECT value FROM json_each(${ids}))`),
    extendedTasks: running.map(({ task_id, token: held, rows_done }) =>
      db
        .update(tasks)
        .set({ leaseUntil: now + LEASE_SECONDS, rowsDone: sql`min(${rows_done}, ${tasks.rows})` })
        .where(leased(task_id, held)),
    ),
    ...(wants && { lostTasks: endTasks(db, lost, LAPSED, now), taskLease: takeTask(db, nodeId, token, now) }),
  };
}

/** A statement that leases the next task whose base models the node has: of the tenant with the fewest that run, the oldest. */
function takeTask(db: Db, nodeId: string, token: string, now: number) {
  const running = sql`(SELECT count(*) FROM ${tasks} AS r WHERE r.tenant = t.tenant AND r.status = 'running')`;
  const next = sql`(SELECT t.seq FROM ${tasks} AS t WHERE t.status = 'queued'
    AND NOT EXISTS (SELECT 1 FROM json_each(t.models) AS m WHERE NOT EXISTS (SELECT 1 FROM ${nodeBaseModels} AS b
      WHERE b.node_id = ${nodeId} AND b.base_model = m.value ->> 'baseModel' AND b.sha256 = m.value ->> 'baseModelSha256'))
    ORDER BY ${running}, t.seq LIMIT 1)`;
  return db
    .update(tasks)
    .set({
      status: 'running',
      attempt: sql`${tasks.attempt} + 1`,
      leaseToken: token,
      leaseUntil: now + LEASE_SECONDS,
      nodeId,
      rowsDone: tasks.partRows,
      startedAt: sql`coalesce(${tasks.startedAt}, ${now})`,
    })
    .where(sql`${tasks.seq} = ${next}`)
    .returning();
}

interface End {
  error: { code: string; message: string };
  failures: 0 | 1;
  retry: boolean;
}

const LAPSED: End = {
  error: {
    code: 'lease_lapsed',
    message: `The node stopped answering in each of ${MAX_ATTEMPTS} attempts.`,
  },
  failures: 1,
  retry: true,
};

/** A statement: these tasks go back to the queue, or fail where no attempt is left. */
function endTasks(db: Db, which: SQL, { error, failures, retry }: End, now: number) {
  const over = retry ? sql`${tasks.failures} + ${failures} >= ${MAX_ATTEMPTS}` : sql`1`;
  return db
    .update(tasks)
    .set({
      status: sql`CASE WHEN ${over} THEN 'failed' ELSE 'queued' END`,
      failures: sql`${tasks.failures} + ${failures}`,
      error: sql`CASE WHEN ${over} THEN ${JSON.stringify(error)} END`,
      finishedAt: sql`CASE WHEN ${over} THEN ${now} END`,
      // A failed task keeps its token, so that reporting the failure twice is safe.
      leaseToken: sql`CASE WHEN ${over} THEN ${tasks.leaseToken} END`,
      leaseUntil: null,
    })
    .where(which)
    .returning({ id: tasks.id, status: tasks.status });
}

/** Puts tasks whose leases lapsed back into the queue. */
export async function requeueLapsedTasks(db: Db, now: number): Promise<void> {
  await endTasks(db, sql`${tasks.status} = 'running' AND ${tasks.leaseUntil} < ${now}`, LAPSED, now);
}

/** Ends a failed attempt. Returns the task's state after it, or undefined where the lease is no longer this one. */
export async function failTaskAttempt(
  db: Db,
  id: string,
  { token, error, retryable: retry }: FailTask,
  now: number,
): Promise<string | undefined> {
  const failures = error.code === 'shutting_down' ? 0 : 1;
  const ended = await endTasks(db, leased(id, token), { error, failures, retry }, now);
  return ended[0]?.status;
}

/** Notes the next part of a task, whose object is stored, both or neither. Returns whether it was the next, under this lease. */
export async function keepPart(
  db: Db,
  { id, token }: { id: string; token: string },
  part: { number: number; key: string; rows: number },
): Promise<boolean> {
  const { number, key, rows } = part;
  const isNext = and(leased(id, token), eq(tasks.parts, number))!;
  const isKept = sql`EXISTS (SELECT 1 FROM ${taskParts} WHERE task_id = ${id} AND key = ${key})`;
  const { kept } = await batch(db, {
    kept: statement<{ number: number }>(
      db,
      sql`INSERT INTO ${taskParts} (task_id, number, key, rows)
      SELECT ${id}, ${number}, ${key}, ${rows} WHERE EXISTS (SELECT 1 FROM ${tasks} WHERE ${isNext}) RETURNING number`,
    ),
    counted: db
      .update(tasks)
      .set({ parts: number + 1, partRows: sql`${tasks.partRows} + ${rows}` })
      .where(and(isNext, isKept)),
    claimed: claimObjects(db, [key], isKept),
  });
  return kept.length > 0;
}

/** The key of a part in R2. */
export async function findPart(db: Db, id: string, number: number): Promise<string | undefined> {
  const rows = await db
    .select({ key: taskParts.key })
    .from(taskParts)
    .where(and(eq(taskParts.taskId, id), eq(taskParts.number, number)));
  return rows[0]?.key;
}

/** Ends a task whose result is stored under `key`. Returns whether it ended so under this lease. */
export async function completeTask(
  db: Db,
  id: string,
  token: string,
  key: string,
  now: number,
): Promise<boolean> {
  const stored = sql`EXISTS (SELECT 1 FROM ${objects} WHERE key = ${key} AND sha256 IS NOT NULL)`;
  const { completed } = await batch(db, {
    completed: db
      .update(tasks)
      .set({
        status: 'succeeded',
        resultKey: key,
        rowsDone: tasks.rows,
        finishedAt: now,
        leaseUntil: null,
        error: null,
      })
      .where(and(leased(id, token), stored))
      .returning({ id: tasks.id }),
    claimed: claimObjects(
      db,
      [key],
      sql`EXISTS (SELECT 1 FROM ${tasks} WHERE result_key = ${key} AND id = ${id})`,
    ),
  });
  return completed.length > 0;
}

/** Makes the parts of ended and deleted tasks due for the next sweep, and forgets them. */
export async function releaseParts(db: Db, now: number): Promise<void> {
  const ended = sql`NOT EXISTS (SELECT 1 FROM ${tasks} WHERE ${tasks.id} = ${taskParts.taskId} AND ${unfinished})`;
  await batch(db, {
    objects: db
      .update(objects)
      .set({ expiresAt: now })
      .where(sql`${objects.key} IN (SELECT ${taskParts.key} FROM ${taskParts} WHERE ${ended})`),
    parts: db.delete(taskParts).where(ended),
  });
}

/** What a node is told of the adapters. */
export const leasedModels = (models: ResolvedTaskModel[]): TaskModel[] =>
  models.map(({ ref, bundle }) => ({ ref, bundle }));

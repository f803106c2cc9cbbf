import { unixNow } from './clock.ts';
import { forgetDeletions } from './db/adapter-deletion.ts';
import { forgetChanges, settleAbandoned } from './db/changes.ts';
import { openDb } from './db/client.ts';
import { deleteExpiredFiles } from './db/files.ts';
import { purgeAnswers } from './db/idempotency.ts';
import { releaseCheckpoints, releaseInlineDatasets } from './db/job-objects.ts';
import { requeueLapsed } from './db/leases.ts';
import { forgetNodes } from './db/nodes.ts';
import { releaseParts, requeueLapsedTasks } from './db/tasks.ts';
import { forgetVacancies } from './db/vacancies.ts';
import type { Env } from './env.ts';
import { sweepObjects } from './objects/delete-objects.ts';
import { CHECKPOINT_PREFIX, INLINE_PREFIX } from './objects/object-keys.ts';

/** A node silent for a day is gone; until then jobs for its base model may wait for it. */
const NODE_KEPT_SECONDS = 24 * 3600;
/** A node that comes back after longer than this asks for no deleted bundle any more: its cache has turned over. */
const DELETION_KEPT_SECONDS = 30 * 24 * 3600;
/** A change that has waited for the nodes and its own statement this long will not be made. */
const CHANGE_MADE_SECONDS = 300;
/** A node that comes back after longer than this starts with no knowledge of changes, as a new one does. */
const CHANGE_KEPT_SECONDS = 3600;

/** Runs every minute: puts lapsed leases back into the queue, and removes data that nobody needs any more. Each part may be repeated. */
export async function everyMinute(env: Env): Promise<void> {
  const db = openDb(env.DB);
  const now = unixNow();
  await requeueLapsed(db, now);
  await requeueLapsedTasks(db, now);
  await releaseParts(db, now);
  await releaseInlineDatasets(db, INLINE_PREFIX, now);
  await releaseCheckpoints(db, CHECKPOINT_PREFIX, now);
  await deleteExpiredFiles(db, now);
  await sweepObjects(env, db, now);
  await purgeAnswers(db, now);
  await forgetNodes(db, now - NODE_KEPT_SECONDS);
  await forgetDeletions(db, now - DELETION_KEPT_SECONDS);
  await forgetVacancies(db, now - DELETION_KEPT_SECONDS);
  await settleAbandoned(db, now - CHANGE_MADE_SECONDS);
  await forgetChanges(db, now - CHANGE_KEPT_SECONDS);
}

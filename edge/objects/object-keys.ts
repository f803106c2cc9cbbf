// Keys of objects in R2. They carry ids and attempts, so that two writers never mean the same key.

/** An uploaded dataset's rows as JSONL. */
export const fileKey = (fileId: string) => `files/${fileId}.jsonl`;

/** The list of an uploaded file's bad rows. It carries the tenant, because a file that was refused is in no table. */
export const fileErrorsKey = (tenant: string, fileId: string) =>
  `errors/${encodeURIComponent(tenant)}/${fileId}.jsonl`;

/** A job's metrics by step. */
export const resultsKey = (fileId: string) => `files/${fileId}.csv`;

/** Prefix of inline examples; their job's id follows. */
export const INLINE_PREFIX = 'inline/';
export const inlineKey = (jobId: string) => `${INLINE_PREFIX}${jobId}`;

/** Prefix of the bundle that one attempt of a job uploads; it ends in a slash. */
export const attemptPrefix = (jobId: string, attempt: number) => `adapters/${jobId}/${attempt}/`;

/** Prefix of saved training states; the job's id, the attempt and a random name follow. */
export const CHECKPOINT_PREFIX = 'checkpoints/';
export const checkpointKey = (jobId: string, attempt: number, name: string) =>
  `${CHECKPOINT_PREFIX}${jobId}/${attempt}/${name}`;

/** Prefix of an imported adapter's bundle, under a random id; it ends in a slash. */
export const importPrefix = (id: string) => `adapters/import_${id}/`;

/** Prefix of what one attempt of a task uploads; it ends in a slash. */
const taskPrefix = (taskId: string, attempt: number) => `tasks/${taskId}/${attempt}/`;
export const partKey = (taskId: string, attempt: number, number: number) =>
  `${taskPrefix(taskId, attempt)}part-${number}`;
export const resultKey = (taskId: string, attempt: number) => `${taskPrefix(taskId, attempt)}result`;

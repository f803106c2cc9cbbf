// Where things lie in R2. Keys carry ids and attempts, so that two writers never mean the same key.

/** An uploaded dataset's rows as JSONL. */
export const fileKey = (fileId: string) => `files/${fileId}.jsonl`;

/** Inline examples lie under this prefix, by their job's id alone. */
export const INLINE_PREFIX = 'inline/';
export const inlineKey = (jobId: string) => `${INLINE_PREFIX}${jobId}`;

/** The bundle that one attempt of a job uploads; ends in a slash. */
export const attemptPrefix = (jobId: string, attempt: number) => `adapters/${jobId}/${attempt}/`;

/** Saved training states lie under this prefix and then their job's id and attempt, each under a random name. */
export const CHECKPOINT_PREFIX = 'checkpoints/';
export const checkpointKey = (jobId: string, attempt: number, name: string) =>
  `${CHECKPOINT_PREFIX}${jobId}/${attempt}/${name}`;

/** The bundle of an imported adapter, under a random id; ends in a slash. */
export const importPrefix = (id: string) => `adapters/import_${id}/`;

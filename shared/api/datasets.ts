import { z } from 'zod';
import { fileId, pageQuery, unixSeconds } from './common.ts';
import { datasetReport } from './dataset-report.ts';
import { label } from './rows.ts';

export const MAX_UPLOAD_BYTES = 95 * 1024 * 1024;
/** Most bytes of a dataset as JSONL, which escapes some characters sixfold; no real dataset comes near it. */
export const MAX_DATASET_BYTES = 512 * 1024 * 1024;
/** Most bytes of one row, so that a validator's memory is bounded whatever the file. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;
/** Most bad lines quoted in an answer; their total stands beside them. */
export const MAX_LINE_ERRORS = 20;

/** Most bytes of the list of a file's bad rows, some 200,000 of them. */
export const MAX_PROBLEMS_BYTES = 16 * 1024 * 1024;

/** Purposes of a file that a client may upload. */
export const uploadPurpose = z.enum(['fine-tune', 'batch']);
export type UploadPurpose = z.infer<typeof uploadPurpose>;

/** Purposes of all files: those that clients upload, and that of a job's results. */
export const purpose = z.enum([...uploadPurpose.options, 'fine-tune-results']);
export type Purpose = z.infer<typeof purpose>;

/** Seconds for which a file is kept that is to expire. */
export const expirySeconds = z
  .int()
  .min(3600)
  .max(30 * 24 * 3600);

/** Treatment of a file with invalid rows: the file is refused, or the rows are left out. */
export const invalidRows = z.enum(['refuse', 'skip']);
export type InvalidRows = z.infer<typeof invalidRows>;

/** Name of a column of a table, or of a field of a row in JSON. */
export const columnName = z.string().min(1).max(256);

/** Number of invalid rows that were left out, and the lines of the first 20. */
const skipped = z.object({ count: z.int(), lines: z.array(z.int()) });
export type Skipped = z.infer<typeof skipped>;

/** A file. Of a dataset, `examples` counts the rows; duplicates stay and are warned about. Other files have none. */
export const file = z.object({
  id: fileId,
  object: z.literal('file'),
  filename: z.string(),
  bytes: z.int(),
  purpose,
  /** A file is there once it has been checked. */
  status: z.literal('processed'),
  created_at: unixSeconds,
  /** When it is deleted by itself; a file that an unfinished job needs stays until then. */
  expires_at: unixSeconds.optional(),
  examples: z.int(),
  labels: z.record(label, z.int()),
  warnings: z.array(z.string()),
  skipped,
  /** Null where a list leaves it out, and for a file of before there were reports. */
  report: datasetReport.nullable(),
  /** True in a list that leaves labels or the report out, as they are long. */
  abridged: z.boolean().optional(),
});
export type File = z.infer<typeof file>;

export const listFilesQuery = pageQuery.extend({ purpose: purpose.optional() });

export const fileDeleted = z.object({ id: fileId, object: z.literal('file'), deleted: z.literal(true) });

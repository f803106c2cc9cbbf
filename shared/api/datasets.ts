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

/** Purposes of a file. */
export const purpose = z.enum(['fine-tune']);

/** Treatment of a file with invalid rows: the file is refused, or the rows are left out. */
export const invalidRows = z.enum(['refuse', 'skip']);
export type InvalidRows = z.infer<typeof invalidRows>;

/** Name of a column of a table, or of a field of a row in JSON. */
export const columnName = z.string().min(1).max(256);

/** Number of invalid rows that were left out, and the lines of the first 20. */
const skipped = z.object({ count: z.int(), lines: z.array(z.int()) });
export type Skipped = z.infer<typeof skipped>;

/** An uploaded dataset. `examples` counts its rows; duplicates stay and are warned about. */
export const file = z.object({
  id: fileId,
  object: z.literal('file'),
  filename: z.string(),
  bytes: z.int(),
  purpose,
  created_at: unixSeconds,
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

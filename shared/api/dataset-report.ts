import { z } from 'zod';
import { fileId } from './common.ts';
import { label } from './rows.ts';

/** Most lines, or other examples, that each part of a report names. */
export const MAX_SHOWN = 20;

/** Rows of a kind: how many there are, and the lines of the first 20. */
const rowsAt = z.object({ rows: z.int(), lines: z.array(z.int()) });

/** A text, or a label, as reports show it: cut to 80 characters. */
const excerpt = z.string();

/** Validation rows whose text is also among the rows to train on; `lines` are those of the validation file's content. */
export const leaks = rowsAt.extend({ validation_file: fileId });

/**
 * What is odd about a dataset that is sound row by row. Lines are those of the uploaded file where nothing else is said; texts are compared
 * as they are.
 */
export const datasetReport = z.object({
  /** Number of rows that are no bad ones. */
  rows: z.int(),
  /** Rows whose text and label an earlier row has. */
  duplicates: rowsAt,
  /** Texts with more than one label, and the rows that hold them. */
  contradictions: z.object({
    texts: z.int(),
    rows: z.int(),
    examples: z.array(
      z.object({ text: excerpt, labels: z.array(z.object({ label: excerpt, line: z.int() })) }),
    ),
  }),
  /** Groups of labels that differ only in case, accents' forms, blanks or invisible characters. */
  near_twin_labels: z.array(z.array(z.object({ label: excerpt, rows: z.int() }))),
  /** Rows of more words than a base model of `tokens` tokens reads, whose ends are certainly cut off. */
  too_long: rowsAt.extend({ tokens: z.int() }),
  /**
   * Lengths of texts in characters, `median` to within 5 %. Unusual ones are beyond Tukey's far fences of their logarithms, `below` and
   * `above`, which are null where fewer than 20 rows tell no usual length.
   */
  lengths: z.object({
    shortest: z.int(),
    median: z.int(),
    longest: z.int(),
    unusually_short: rowsAt.extend({ below: z.int().nullable() }),
    unusually_long: rowsAt.extend({ above: z.int().nullable() }),
  }),
  /** Null until a report is asked for with a validation file. */
  leaks: leaks.nullable(),
  /** False where there are more different texts than are compared: texts after the first 838,861 may repeat unseen. */
  is_complete: z.boolean(),
});
export type DatasetReport = z.infer<typeof datasetReport>;

/** A report by itself, with what the file beside it would say. */
export const fileReport = datasetReport.extend({ labels: z.record(label, z.int()) });

import type { DatasetReport } from '../api/dataset-report.ts';
import { MAX_LINE_ERRORS, type Skipped } from '../api/datasets.ts';
import { MAX_LABELS } from '../api/rows.ts';
import type { LineError } from '../errors.ts';
import { labelBytes, MAX_LABELS_BYTES } from '../label-limits.ts';
import { describeAlike, lookAlikes, showLabel } from '../look-alike.ts';
import { ReportBuilder } from './report.ts';
import type { BadRow, RawRow } from './rows.ts';

/** Bad rows after which the rest of a file is not worth reading. */
const MAX_BAD_ROWS = 1_000_000;

/** Most characters of a row's fault; some quote what the row says. */
const MAX_REASON_CHARS = 300;

/** The counts that an accepted file is stored and answered with. */
export interface DatasetSummary {
  examples: number;
  labels: Record<string, number>;
  warnings: string[];
  skipped: Skipped;
  report: DatasetReport;
}

/**
 * Checks rows and counts for the answer. Memory is bounded whatever the file: at most `MAX_LABELS` labels, 20 errors and what
 * `ReportBuilder` keeps.
 */
export class RowCheck {
  readonly errors: LineError[] = [];
  totalErrors = 0;
  /** True once the rest of the file is not worth reading. */
  isHopeless = false;
  /** The first bad row that cannot be left out. */
  fatal: LineError | undefined;
  #examples = 0;
  /** Number of rows whose label lost outer blanks. */
  #trimmed = 0;
  readonly #labels = new Map<string, number>();
  /** Bytes of the distinct labels. */
  #labelBytes = 0;
  readonly #report = new ReportBuilder();
  /** Bad rows as JSONL that nobody has taken yet. */
  #problems = '';

  /** The row as a line of JSONL, as training reads it; undefined for a bad row, which `errors` then describes. */
  accept(row: RawRow): string | undefined {
    if ('error' in row) return this.reject(row);
    const { line, read } = row;
    if ('error' in read) return this.reject({ line, error: read.error });
    const { text, label } = read.value;
    if (read.isTrimmed) this.#trimmed += 1;
    const tooMuch = this.#count(label);
    if (tooMuch !== undefined) {
      this.isHopeless = true;
      return this.reject({ line, error: `${tooMuch}; is this the label's column?`, isFatal: true });
    }
    this.#report.add(text, label, line);
    return `${JSON.stringify({ text, label })}\n`;
  }

  /** Counts a bad row, if there is one. */
  reject(row: BadRow | undefined): undefined {
    if (!row) return;
    this.totalErrors += 1;
    const error = { line: row.line, message: row.error.slice(0, MAX_REASON_CHARS) };
    if (this.errors.length < MAX_LINE_ERRORS) this.errors.push(error);
    if (row.isFatal) this.fatal ??= error;
    if (this.totalErrors === MAX_BAD_ROWS) {
      this.isHopeless = true;
      const message = `${error.message}, the last of a million bad rows that are read; is this the right file?`;
      this.fatal ??= { line: row.line, message };
    }
    this.#problems += `${JSON.stringify(error)}\n`;
  }

  /** The bad rows since the last call, as JSONL `{"line","message"}`. */
  takeProblems(): string {
    const problems = this.#problems;
    this.#problems = '';
    return problems;
  }

  summary(): DatasetSummary {
    return {
      examples: this.#examples,
      labels: Object.fromEntries(this.#labels),
      warnings: [...this.#skipWarnings(), ...this.#repeatWarnings(), ...this.#labelWarnings()],
      skipped: { count: this.totalErrors, lines: this.errors.map(({ line }) => line) },
      report: this.#report.report(this.#labels),
    };
  }

  #skipWarnings(): string[] {
    const [first] = this.errors;
    if (!first) return [];
    const rows = this.totalErrors === 1 ? '1 invalid row is' : `${this.totalErrors} invalid rows are`;
    return [`${rows} left out; line ${first.line}: ${first.message}.`];
  }

  #repeatWarnings(): string[] {
    const { duplicates, conflicting } = this.#report;
    const repeat = (rows: number) => (rows === 1 ? '1 row repeats' : `${rows} rows repeat`);
    return [
      ...(duplicates > 0 ? [`${repeat(duplicates)} an earlier text and label; they are kept.`] : []),
      ...(conflicting > 0 ? [`${repeat(conflicting)} an earlier text with another label.`] : []),
    ];
  }

  /** Counts a label. Returns the limit that the label would exceed, if any. */
  #count(label: string): string | undefined {
    const seen = this.#labels.get(label);
    if (seen === undefined) {
      if (this.#labels.size === MAX_LABELS) return `more than ${MAX_LABELS} different labels`;
      this.#labelBytes += labelBytes(label);
      if (this.#labelBytes > MAX_LABELS_BYTES)
        return `labels of more than ${MAX_LABELS_BYTES} bytes together`;
    }
    this.#labels.set(label, (seen ?? 0) + 1);
    this.#examples += 1;
  }

  #labelWarnings(): string[] {
    const warnings: string[] = [];
    if (this.#trimmed > 0) {
      const rows = this.#trimmed === 1 ? '1 row' : `${this.#trimmed} rows`;
      warnings.push(`The label of ${rows} had blanks around it; they are removed.`);
    }
    if (this.#labels.size === 1) warnings.push('Only one label: training needs at least 2.');
    const lonely = [...this.#labels].filter(([, count]) => count === 1).map(([label]) => label);
    if (lonely.length > 0) {
      warnings.push(`${someLabels(lonely)}: a single example; training needs at least 2 of each label.`);
    }
    for (const group of lookAlikes(this.#labels)) warnings.push(`${describeAlike(group)}.`);
    return warnings.slice(0, 20);
  }
}

function someLabels(labels: string[]): string {
  const shown = labels.slice(0, 5).map(showLabel);
  const more = labels.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

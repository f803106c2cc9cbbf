import { MAX_LABELS, MAX_TEXT_CHARS } from '../../shared/api/common.ts';
import { MAX_LINE_ERRORS } from '../../shared/api/datasets.ts';
import type { LineError } from '../../shared/errors.ts';
import { Repeats } from './repeats.ts';
import type { BadRow, RawRow } from './rows.ts';

const MAX_LABEL_CHARS = 256;

/** What an accepted file is stored and answered with. */
export interface DatasetSummary {
  examples: number;
  labels: Record<string, number>;
  warnings: string[];
}

/**
 * Checks rows and counts what the answer tells of them. Memory is bounded: at most `MAX_LABELS` labels, 20 errors and
 * `Repeats`' table, whatever the file.
 */
export class RowCheck {
  readonly errors: LineError[] = [];
  totalErrors = 0;
  /** Set when the rest of the file is not worth reading. */
  isHopeless = false;
  #examples = 0;
  readonly #labels = new Map<string, number>();
  readonly #repeats = new Repeats();

  /** The row as a line of JSONL, as training reads it; undefined where it is bad, which `errors` then says. */
  accept(row: RawRow): string | undefined {
    if ('error' in row) return this.reject(row);
    const { line } = row;
    const text = checkText(row.text);
    if ('error' in text) return this.reject({ line, error: text.error });
    const label = checkLabel(row.label);
    if ('error' in label) return this.reject({ line, error: label.error });
    if (!this.#count(label.value)) {
      this.isHopeless = true;
      const error = `more than ${MAX_LABELS} different labels; is this the label's column?`;
      return this.reject({ line, error });
    }
    this.#repeats.add(text.value, label.value);
    return `${JSON.stringify({ text: text.value, label: label.value })}\n`;
  }

  /** Counts a bad row, if it is one. */
  reject(row: BadRow | undefined): undefined {
    if (!row) return;
    this.totalErrors += 1;
    if (this.errors.length < MAX_LINE_ERRORS) this.errors.push({ line: row.line, message: row.error });
  }

  summary(): DatasetSummary {
    return {
      examples: this.#examples,
      labels: Object.fromEntries(this.#labels),
      warnings: [...this.#repeats.warnings(), ...this.#labelWarnings()],
    };
  }

  #count(label: string): boolean {
    const seen = this.#labels.get(label);
    if (seen === undefined && this.#labels.size === MAX_LABELS) return false;
    this.#labels.set(label, (seen ?? 0) + 1);
    this.#examples += 1;
    return true;
  }

  #labelWarnings(): string[] {
    const warnings: string[] = [];
    if (this.#labels.size === 1) warnings.push('Only one label: training needs at least 2.');
    const lonely = [...this.#labels].filter(([, count]) => count === 1).map(([label]) => label);
    if (lonely.length > 0) {
      warnings.push(`${some(lonely)}: a single example; training needs at least 2 of each label.`);
    }
    const alike = Map.groupBy(this.#labels.keys(), (label) => label.trim().toLowerCase());
    for (const group of alike.values()) {
      if (group.length > 1) warnings.push(`${some(group)}: labels that differ only in case or outer spaces.`);
    }
    return warnings.slice(0, 20);
  }
}

function some(labels: string[]): string {
  const shown = labels.slice(0, 5).map((label) => JSON.stringify(label.slice(0, 60)));
  const more = labels.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

type Checked = { value: string } | { error: string };

function checkText(value: unknown): Checked {
  if (value === undefined || value === null) return { error: 'text is missing' };
  if (typeof value !== 'string') return { error: `text is ${kindOf(value)}, not a string` };
  if (value.trim() === '') return { error: 'text is empty' };
  if (value.length > MAX_TEXT_CHARS) {
    return { error: `text has ${value.length} characters, at most ${MAX_TEXT_CHARS} are accepted` };
  }
  // JSON's \ud800 escapes reach past the check of UTF-8.
  return value.isWellFormed() ? { value } : { error: 'text holds half a surrogate pair' };
}

function checkLabel(value: unknown): Checked {
  if (value === undefined || value === null) return { error: 'label is missing' };
  if (typeof value === 'number') {
    return Number.isSafeInteger(value)
      ? { value: String(value) }
      : { error: `label is ${value}; a label is a string or an integer` };
  }
  if (typeof value !== 'string')
    return { error: `label is ${kindOf(value)}; a label is a string or an integer` };
  if (value.trim() === '') return { error: 'label is empty' };
  if (value.length > MAX_LABEL_CHARS) {
    return { error: `label has ${value.length} characters, at most ${MAX_LABEL_CHARS} are accepted` };
  }
  // Labels are keys of JSON objects, and of this one readers make a prototype.
  if (value === '__proto__') return { error: 'label "__proto__" is reserved' };
  return value.isWellFormed() ? { value } : { error: 'label holds half a surrogate pair' };
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

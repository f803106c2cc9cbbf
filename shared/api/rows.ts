import { z } from 'zod';

export const MAX_LABELS = 1000;
export const MAX_LABEL_CHARS = 256;
export const MAX_TEXT_CHARS = 1_000_000;
/** Most characters of a row as a line of JSONL, which may escape each of them sixfold. */
export const MAX_ROW_CHARS =
  6 * (MAX_TEXT_CHARS + MAX_LABEL_CHARS) + JSON.stringify({ text: '', label: '' }).length;

/** One labelled text, as training reads it. */
export interface Example {
  text: string;
  label: string;
}

/** A value that was read, or its error and the field of the row that is wrong. */
type Read<T> = { value: T } | { error: string; field?: keyof Example };

/** A row that was read; `isTrimmed` means that the label lost outer blanks. */
type ReadRow =
  | (Extract<Read<Example>, { value: Example }> & { isTrimmed: boolean })
  | Extract<Read<Example>, { error: string }>;

/** Matches text of nothing but white space and characters that have neither width nor ink. */
const BLANK = /^[\s\p{Default_Ignorable_Code_Point}]*$/u;

/**
 * Reads a row from a file's line, a request's `examples` or a stored dataset: this is the one definition of a valid row. `text` stays as it
 * is. `label` may be an integer, and loses its outer blanks. Other fields are ignored.
 */
export function readRow(row: unknown): ReadRow {
  if (typeof row !== 'object' || row === null || Array.isArray(row)) {
    return { error: 'not an object such as {"text": "…", "label": "…"}' };
  }
  const { text, label } = row as Partial<Record<keyof Example, unknown>>;
  const readText = asText(text);
  if ('error' in readText) return { ...readText, field: 'text' };
  const readLabel = asLabel(label);
  if ('error' in readLabel) return { ...readLabel, field: 'label' };
  const isTrimmed = typeof label === 'string' && label !== readLabel.value;
  return { value: { text: readText.value, label: readLabel.value }, isTrimmed };
}

function asText(value: unknown): Read<string> {
  if (value === undefined || value === null) return { error: 'text is missing' };
  if (typeof value !== 'string') return { error: `text is ${kindOf(value)}, not a string` };
  const error = faultOf('text', value, MAX_TEXT_CHARS);
  return error === undefined ? { value } : { error };
}

function asLabel(value: unknown): Read<string> {
  if (value === undefined || value === null) return { error: 'label is missing' };
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return { value: String(value) };
    return { error: `label is ${value}; a label is a string or an integer` };
  }
  if (typeof value !== 'string')
    return { error: `label is ${kindOf(value)}; a label is a string or an integer` };
  const label = value.trim();
  const error = labelFault(label);
  return error === undefined ? { value: label } : { error };
}

function labelFault(value: string): string | undefined {
  // Labels are keys of JSON objects, and readers take this one for a prototype.
  return value === '__proto__' ? 'label "__proto__" is reserved' : faultOf('label', value, MAX_LABEL_CHARS);
}

function faultOf(field: keyof Example, value: string, maxChars: number): string | undefined {
  if (BLANK.test(value)) return `${field} is empty`;
  if (value.length > maxChars) {
    return `${field} has ${value.length} characters, at most ${maxChars} are accepted`;
  }
  // JSON's \ud800 escapes get past a check of UTF-8.
  return value.isWellFormed() ? undefined : `${field} holds half a surrogate pair`;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Makes one of the rules above a schema's refinement. */
function refusing(faultOf: (value: string) => string | undefined) {
  return (value: string, context: z.RefinementCtx) => {
    const fault = faultOf(value);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  };
}

/** Makes one of the rules above a schema's preprocessing. */
function reading<T>(read: (value: unknown) => Read<T>) {
  return (value: unknown, context: z.RefinementCtx) => {
    const found = read(value);
    if ('value' in found) return found.value;
    const path = found.field === undefined ? [] : [found.field];
    context.addIssue({ code: 'custom', message: found.error, path });
    return z.NEVER;
  };
}

/** A text to classify, by the same rules as a text to train on. */
export const text = z
  .string()
  .superRefine(refusing((value) => faultOf('text', value, MAX_TEXT_CHARS)))
  .meta({ minLength: 1, maxLength: MAX_TEXT_CHARS });

/** A class label after reading. */
export const label = z
  .string()
  .superRefine(refusing(labelFault))
  .meta({ minLength: 1, maxLength: MAX_LABEL_CHARS });

/** A class label as a client may write it: also an integer, or with blanks around it. */
export const givenLabel = z.preprocess(reading(asLabel), label);

/** One labelled text of a request. */
export const example = z.preprocess(
  reading(readRow),
  z.object({
    text: z.string().meta({ minLength: 1, maxLength: MAX_TEXT_CHARS }),
    label: z.string().meta({ type: ['string', 'integer'], minLength: 1, maxLength: MAX_LABEL_CHARS }),
  }),
);

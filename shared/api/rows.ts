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
export type ReadRow =
  | (Extract<Read<Example>, { value: Example }> & { isTrimmed: boolean })
  | Extract<Read<Example>, { error: string }>;

/** Matches text of nothing but white space and characters that have neither width nor ink. */
const BLANK = /^[\s\p{Default_Ignorable_Code_Point}]*$/u;

/** Field names, or other words, by which errors call a row's text and its label. */
export type RowNames = Readonly<Record<keyof Example, string>>;
const PLAIN: RowNames = { text: 'text', label: 'label' };

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads a row of a request's `examples` or of a stored dataset, or what a row of a file has for its text and label: this is the one
 * definition of a valid row. `text` stays as it is. `label` may be an integer, and loses its outer blanks. Other fields are ignored.
 */
export function readRow(row: unknown, names = PLAIN): ReadRow {
  if (!isObject(row)) return { error: 'not an object such as {"text": "…", "label": "…"}' };
  const { text, label } = row;
  const readText = asText(text, names.text);
  if ('error' in readText) return { ...readText, field: 'text' };
  const readLabel = asLabel(label, names.label);
  if ('error' in readLabel) return { ...readLabel, field: 'label' };
  const isTrimmed = typeof label === 'string' && label !== readLabel.value;
  return { value: { text: readText.value, label: readLabel.value }, isTrimmed };
}

function asText(value: unknown, name: string): Read<string> {
  if (value === undefined || value === null) return { error: `${name} is missing` };
  if (typeof value !== 'string') return { error: `${name} is ${kindOf(value)}, not a string` };
  const error = faultOf(name, value, MAX_TEXT_CHARS);
  return error === undefined ? { value } : { error };
}

function asLabel(value: unknown, name = PLAIN.label): Read<string> {
  if (value === undefined || value === null) return { error: `${name} is missing` };
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return { value: String(value) };
    return { error: `${name} is ${value}; a label is a string or an integer` };
  }
  if (typeof value !== 'string')
    return { error: `${name} is ${kindOf(value)}; a label is a string or an integer` };
  const label = value.trim();
  const error = labelFault(label, name);
  return error === undefined ? { value: label } : { error };
}

function labelFault(value: string, name = PLAIN.label): string | undefined {
  // Labels are keys of JSON objects, and readers take this one for a prototype.
  return value === '__proto__' ? `${name} "__proto__" is reserved` : faultOf(name, value, MAX_LABEL_CHARS);
}

function faultOf(name: string, value: string, maxChars: number): string | undefined {
  if (BLANK.test(value)) return `${name} is empty`;
  if (value.length > maxChars) {
    return `${name} has ${value.length} characters, at most ${maxChars} are accepted`;
  }
  // JSON's \ud800 escapes get past a check of UTF-8.
  return value.isWellFormed() ? undefined : `${name} holds half a surrogate pair`;
}

/** What a value is, in words. */
export function kindOf(value: unknown): string {
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
  .superRefine(refusing((value) => labelFault(value)))
  .meta({ minLength: 1, maxLength: MAX_LABEL_CHARS });

/** A class label as a client may write it: also an integer, or with blanks around it. */
export const givenLabel = z.preprocess(
  reading((value) => asLabel(value)),
  label,
);

/** One labelled text of a request. */
export const example = z.preprocess(
  reading((row) => readRow(row)),
  z.object({
    text: z.string().meta({ minLength: 1, maxLength: MAX_TEXT_CHARS }),
    label: z.string().meta({ type: ['string', 'integer'], minLength: 1, maxLength: MAX_LABEL_CHARS }),
  }),
);

import { isObject, type JsonObject, type RowNames } from '../api/rows.ts';
import { some } from './words.ts';

/** Names of the fields or columns that hold the text and the label, where they are not the usual ones. */
export interface Columns {
  readonly text?: string | undefined;
  readonly label?: string | undefined;
}

/** What a row has for its text and its label, as yet unchecked, and what errors call them; or why it has none. */
export type Found = { text: unknown; label: unknown; names?: RowNames } | { error: string };

/** A form in which the rows of a file may be. */
export interface RowForm {
  readonly isOf: (row: JsonObject, columns: Columns) => boolean;
  readonly find: (row: JsonObject, columns: Columns) => Found;
}

type Value = { value: unknown } | { error: string };

/** The field that holds a row's text: the one that is named, or `text`, or the only one that is a string. */
export function findText(
  fields: JsonObject,
  { text: name }: Columns,
  isMeta = (_field: string) => false,
): Value {
  if (name !== undefined)
    return Object.hasOwn(fields, name) ? { value: fields[name] } : missing(name, fields);
  if (typeof fields.text === 'string') return { value: fields.text };
  const strings = Object.keys(fields).filter((field) => typeof fields[field] === 'string' && !isMeta(field));
  if (strings.length === 1) return { value: fields[strings[0]!] };
  if (strings.length === 0) return { error: 'text is missing' };
  return { error: `several fields are text: ${some(strings)}; name one by text_column` };
}

/** Which question, or control, holds the label: the one that is named, or the only one, or `label`. */
export function chooseQuestion(
  questions: readonly string[],
  { label: name }: Columns,
): { value: string } | { error: string } {
  if (name !== undefined) {
    return questions.includes(name) ? { value: name } : { error: `no label of ${JSON.stringify(name)}` };
  }
  if (questions.length === 1) return { value: questions[0]! };
  if (questions.includes('label')) return { value: 'label' };
  return { error: `several labels: of ${some(questions)}; name one by label_column` };
}

/**
 * The one label among what several people answered: each answer is a label or a list of labels. Refuses spans, more than one label, people
 * who disagree, and no label at all.
 */
export function oneLabel(answers: readonly unknown[]): Value {
  const labels = answers.map((answer) => (Array.isArray(answer) ? answer : [answer]));
  if (labels.flat().some((label) => isObject(label) || Array.isArray(label))) {
    return { error: 'span annotations; a row needs one label for its whole text' };
  }
  const several = labels.find(({ length }) => length > 1);
  if (several) return { error: `a multi-label annotation: ${some(several)}; a row has one label` };
  const distinct = [...new Set(labels.flat())];
  if (distinct.length > 1) return { error: `annotators disagree: ${some(distinct)}` };
  return distinct.length === 0 ? { error: 'not annotated' } : { value: distinct[0] };
}

/** Joins a text and a label that were looked for apart. */
export function foundIn(text: Value, label: Value): Found {
  if ('error' in text) return text;
  return 'error' in label ? label : { text: text.value, label: label.value };
}

/** The objects of a list, or none. */
export function objectsOf(list: unknown): JsonObject[] {
  return Array.isArray(list) ? list.filter(isObject) : [];
}

function missing(name: string, fields: JsonObject): { error: string } {
  return { error: `${JSON.stringify(name)} is missing; there are ${some(Object.keys(fields))}` };
}

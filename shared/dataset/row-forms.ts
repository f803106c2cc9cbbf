import { exampleOfChat } from '../api/chat.ts';
import { isObject, type JsonObject, type ReadRow, type RowNames, readRow } from '../api/rows.ts';
import { ARGILLA, ARGILLA_FLAT, ARGILLA_V1 } from './argilla.ts';
import { DOCCANO } from './doccano.ts';
import type { Columns, RowForm } from './find-in-row.ts';
import { LABEL_STUDIO, LABEL_STUDIO_MIN } from './label-studio.ts';

/** A row that has its text and its label as fields, `text` and `label` unless the columns are named. */
const PLAIN: RowForm = {
  isOf: (row, columns) => {
    const names = namesOf(columns);
    return (
      Object.hasOwn(row, names.text) && Object.hasOwn(row, names.label) && !isStructure(row[names.label])
    );
  },
  find: (row, columns) => {
    const names = namesOf(columns);
    return { text: own(row, names.text), label: own(row, names.label), names };
  },
};

/** OpenAI's format for fine-tuning chats. */
const CHAT: RowForm = {
  isOf: (row, columns) => areUsual(columns) && Object.hasOwn(row, 'messages'),
  find: ({ messages }) => {
    const names = { text: 'the text of the system and user turns', label: "the last turn, the assistant's," };
    const example = exampleOfChat(messages);
    return 'error' in example ? example : { ...example, names };
  },
};

/** OpenAI's older format for fine-tuning. */
const COMPLETION: RowForm = {
  isOf: (row, columns) =>
    areUsual(columns) && (Object.hasOwn(row, 'prompt') || Object.hasOwn(row, 'completion')),
  find: ({ prompt, completion }) => ({
    text: prompt,
    label: completion,
    names: { text: 'prompt', label: 'completion' },
  }),
};

/** Forms of rows; the first that a row is of counts. Other fields than a form's own are ignored. */
const FORMS: readonly RowForm[] = [
  PLAIN,
  LABEL_STUDIO,
  LABEL_STUDIO_MIN,
  ARGILLA,
  ARGILLA_FLAT,
  ARGILLA_V1,
  DOCCANO,
  CHAT,
  COMPLETION,
];

/** Reads a row of a file, in whichever form it is, by the rules of `readRow`. */
export function readFileRow(row: unknown, columns: Columns): ReadRow {
  if (!isObject(row)) return readRow(row);
  const form = FORMS.find(({ isOf }) => isOf(row, columns)) ?? PLAIN;
  const found = form.find(row, columns);
  return 'error' in found ? found : readRow(found, found.names);
}

/** The names of a row's two fields, or of a table's columns. */
export function namesOf({ text, label }: Columns): RowNames {
  return { text: text ?? 'text', label: label ?? 'label' };
}

function areUsual({ text, label }: Columns): boolean {
  return text === undefined && label === undefined;
}

/** A field's value; not what every object inherits under that name. */
function own(row: JsonObject, field: string): unknown {
  return Object.hasOwn(row, field) ? row[field] : undefined;
}

function isStructure(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

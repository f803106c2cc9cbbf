import { exampleOfChat } from '../api/chat.ts';
import { isObject, type JsonObject, type ReadRow, type RowNames, readRow } from '../api/rows.ts';

/** What a row has for its text and its label, as yet unchecked, or why it has none. */
type Found = { text: unknown; label: unknown } | { error: string };

/** A form in which the rows of a file may be. */
interface RowForm {
  /** What errors call the text and the label. */
  readonly names: RowNames;
  readonly isOf: (row: JsonObject) => boolean;
  readonly find: (row: JsonObject) => Found;
}

const PLAIN: RowForm = {
  names: { text: 'text', label: 'label' },
  isOf: (row) => has(row, 'text') || has(row, 'label'),
  find: ({ text, label }) => ({ text, label }),
};

/** Forms of rows; the first that a row is of counts. Other fields than a form's own are ignored. */
const FORMS: readonly RowForm[] = [
  PLAIN,
  {
    // OpenAI's chat format for fine-tuning.
    names: { text: 'the text of the system and user turns', label: "the last turn, the assistant's," },
    isOf: (row) => has(row, 'messages'),
    find: ({ messages }) => exampleOfChat(messages),
  },
  {
    // OpenAI's older format for fine-tuning.
    names: { text: 'prompt', label: 'completion' },
    isOf: (row) => has(row, 'prompt') || has(row, 'completion'),
    find: ({ prompt, completion }) => ({ text: prompt, label: completion }),
  },
];

/** Reads a row of a file, in whichever form it is, by the rules of `readRow`. */
export function readFileRow(row: unknown): ReadRow {
  if (!isObject(row)) return readRow(row);
  const form = FORMS.find(({ isOf }) => isOf(row)) ?? PLAIN;
  const found = form.find(row);
  return 'error' in found ? found : readRow(found, form.names);
}

function has(row: JsonObject, field: string): boolean {
  return Object.hasOwn(row, field);
}

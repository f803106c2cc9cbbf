import { isObject, type JsonObject } from '../api/rows.ts';
import {
  type Columns,
  chooseQuestion,
  type Found,
  findText,
  foundIn,
  objectsOf,
  oneLabel,
  type RowForm,
} from './find-in-row.ts';

/** An answer to a question; only those that were submitted count, or whose status the export leaves out. */
interface Answer {
  question: string;
  value: unknown;
  status: unknown;
}

/**
 * A record of Argilla's `to_json` (https://docs.argilla.io, rg.Record): the text lies in `fields`, and the label in `responses`, a list for
 * each question. Its server lists responses by person instead. Suggestions are no labels.
 */
export const ARGILLA: RowForm = {
  isOf: (row) => isObject(row.fields) && Object.hasOwn(row, 'responses'),
  find: ({ fields, responses }, columns) => {
    const answers = isObject(responses) ? byQuestion(responses) : objectsOf(responses).flatMap(ofPerson);
    return foundIn(findText(fields as JsonObject, columns), labelAmong(answers, columns));
  },
};

const RESPONSES = '.responses';
const FLAT_FIELDS = ['id', '_server_id', 'status', 'score'];

/** A row of Argilla's `to_datasets`, or of `to_list` with `flatten`: a question's answers lie under `QUESTION.responses`. */
export const ARGILLA_FLAT: RowForm = {
  isOf: (row) => Object.keys(row).some((field) => field.endsWith(RESPONSES)),
  find: (row, columns) => {
    const answers = Object.keys(row)
      .filter((field) => field.endsWith(RESPONSES))
      .flatMap((field) => {
        const values = Array.isArray(row[field]) ? row[field] : [];
        const statuses = row[`${field}.status`];
        const question = field.slice(0, -RESPONSES.length);
        return values.map((value, i) => ({
          question,
          value,
          status: Array.isArray(statuses) ? statuses[i] : null,
        }));
      });
    const isMeta = (field: string) =>
      FLAT_FIELDS.includes(field) || /\.(?:responses|suggestion)(?:\.|$)/.test(field);
    return foundIn(findText(row, columns, isMeta), labelAmong(answers, columns));
  },
};

/** A text classification record of Argilla 1: the text lies in `inputs` or `text`, and the label is its `annotation`. */
export const ARGILLA_V1: RowForm = {
  isOf: (row) => Object.hasOwn(row, 'annotation') && Object.hasOwn(row, 'prediction'),
  find: ({ text, inputs, annotation }, columns): Found => {
    const fields = typeof text === 'string' ? { text } : isObject(inputs) ? inputs : {};
    return foundIn(findText(fields, columns), oneLabel(annotation === null ? [] : [annotation]));
  },
};

function labelAmong(answers: readonly Answer[], columns: Columns) {
  const submitted = answers.filter(
    ({ value, status }) => value !== null && (status ?? 'submitted') === 'submitted',
  );
  if (submitted.length === 0) return { error: 'not annotated: no response was submitted' };
  const chosen = chooseQuestion([...new Set(submitted.map(({ question }) => question))], columns);
  if ('error' in chosen) return chosen;
  return oneLabel(submitted.filter(({ question }) => question === chosen.value).map(({ value }) => value));
}

function byQuestion(responses: JsonObject): Answer[] {
  return Object.entries(responses).flatMap(([question, list]) =>
    objectsOf(list).map(({ value, status }) => ({ question, value, status })),
  );
}

function ofPerson({ values, status }: JsonObject): Answer[] {
  if (!isObject(values)) return [];
  return Object.entries(values).map(([question, answer]) => ({
    question,
    value: isObject(answer) ? answer.value : answer,
    status,
  }));
}

import { isObject, type JsonObject } from '../api/rows.ts';
import {
  chooseQuestion,
  type Found,
  findText,
  foundIn,
  objectsOf,
  oneLabel,
  type RowForm,
} from './find-in-row.ts';
import { some } from './words.ts';

/**
 * A task of Label Studio's JSON export (https://labelstud.io/guide/task_format): the text lies in `data`, and the label in the results of
 * type `choices`. Annotations that were cancelled, and predictions, are no labels.
 */
export const LABEL_STUDIO: RowForm = {
  isOf: (row) => isObject(row.data) && Array.isArray(row.annotations ?? row.completions),
  find: (row, columns): Found => {
    const annotations = objectsOf(row.annotations ?? row.completions);
    const results = annotations
      .filter((annotation) => annotation.was_cancelled !== true)
      .flatMap((annotation) => objectsOf(annotation.result));
    if (results.length === 0) return { error: 'not annotated' };
    const choices = results.filter(isChoice);
    if (choices.length === 0) {
      const types = [...new Set(results.map(({ type }) => type))];
      return { error: `annotations of type ${some(types)}, such as span annotations; "choices" are needed` };
    }
    const control = chooseQuestion([...new Set(choices.map(controlOf))], columns);
    if ('error' in control) return control;
    const answers = choices.filter((choice) => controlOf(choice) === control.value).map(choicesOf);
    return foundIn(findText(row.data as JsonObject, columns), oneLabel(answers));
  },
};

/** A result that labels the whole text; one with a place labels a part of it. */
function isChoice({ type, value }: JsonObject): boolean {
  return type === 'choices' && isObject(value) && Array.isArray(value.choices) && value.start === undefined;
}

/** The name of the control that a result is of. */
function controlOf({ from_name }: JsonObject): string {
  return typeof from_name === 'string' ? from_name : '';
}

function choicesOf({ value }: JsonObject): unknown {
  return (value as JsonObject).choices;
}

/** Fields that Label Studio adds to each row of its JSON-MIN export. */
const MIN_FIELDS = ['id', 'annotator', 'annotation_id', 'created_at', 'updated_at', 'lead_time', 'agreement'];

/**
 * A row of Label Studio's JSON-MIN export: the fields of its data, and the label under the name of its control. There a list of choices is an
 * object, and spans are a list of objects.
 */
export const LABEL_STUDIO_MIN: RowForm = {
  isOf: (row) => Object.hasOwn(row, 'annotation_id') && Object.hasOwn(row, 'annotator'),
  find: (row, columns): Found => {
    const isMeta = (field: string) => MIN_FIELDS.includes(field);
    const textField = columns.text ?? 'text';
    const controls = Object.keys(row).filter((field) => !isMeta(field) && field !== textField);
    const control = chooseQuestion(controls, columns);
    if ('error' in control) return control;
    const text = findText(row, columns, (field) => isMeta(field) || field === control.value);
    const answer = row[control.value];
    return foundIn(
      text,
      oneLabel([isObject(answer) && answer.choices !== undefined ? answer.choices : answer]),
    );
  },
};

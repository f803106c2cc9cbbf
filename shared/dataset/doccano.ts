import type { JsonObject } from '../api/rows.ts';
import { findText, foundIn, oneLabel, type RowForm } from './find-in-row.ts';

/**
 * A row of doccano's JSON and JSONL exports (https://github.com/doccano/doccano, data_export): `label` lists the labels of a text
 * classification, and spans of a sequence labelling. Other projects and versions call it `labels` or `cats`, the text `data`, and spans
 * `entities`.
 */
export const DOCCANO: RowForm = {
  isOf: (row) => Object.hasOwn(row, 'entities') || Array.isArray(labelsOf(row)),
  find: (row, columns) => {
    const spans = Array.isArray(row.entities) ? row.entities : [];
    const labels = columns.label === undefined ? labelsOf(row) : row[columns.label];
    const isOlder = typeof row.text !== 'string' && typeof row.data === 'string';
    return foundIn(
      findText(row, { text: columns.text ?? (isOlder ? 'data' : undefined) }),
      oneLabel([spans.length > 0 ? spans : (labels ?? [])]),
    );
  },
};

function labelsOf({ label, labels, cats }: JsonObject): unknown {
  return label ?? labels ?? cats;
}

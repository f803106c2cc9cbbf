import type { DatasetWarning } from '../../shared/api/jobs.ts';
import { describeAlike, type LabelCount, lookAlikes } from '../../shared/look-alike.ts';
import type { Repeats } from '../data/repeats.ts';
import type { TrainingEvent } from './protocol.ts';

/** Facts of a dataset that may show problems, although it can be trained on. */
export interface DatasetFacts {
  readonly labels: readonly string[];
  /** Number of rows of each label in both parts. */
  readonly labelCounts: readonly LabelCount[];
  /** Number of texts in both parts, and of those that are cut. */
  readonly texts: number;
  readonly truncated: number;
  /** Length in tokens at which texts are cut, the virtual tokens before them, and the most tokens that the base model takes of both. */
  readonly maxLength: number;
  readonly virtualTokens: number;
  readonly longest: number;
  /** The label of each validation row. */
  readonly validationLabels: ArrayLike<number>;
  readonly repeats: Repeats;
}

/** Fewest validation rows without a warning: with fewer, metrics may have a standard error above 0.07. */
const FEW_VALIDATION_ROWS = 50;
/** Share of cut texts from which cutting is not the exception. */
const MANY_TRUNCATED = 0.5;
/** Most groups shown, so that an event holds them. */
const MAX_SHOWN_GROUPS = 3;

interface Finding {
  readonly message: string;
  readonly data: Readonly<Record<string, number | string>>;
  /** True if it is worth knowing but expected. */
  readonly harmless?: boolean;
}

/** Each check looks for one problem, and returns undefined if there is none. */
const CHECKS: Readonly<Record<DatasetWarning, (facts: DatasetFacts) => Finding | undefined>> = {
  truncated_texts({ texts, truncated, maxLength, virtualTokens, longest }) {
    if (truncated === 0) return undefined;
    const way = virtualTokens + maxLength < longest ? `; max_length may be up to ${longest}` : '';
    const message = `${truncated} of ${texts} texts are longer than ${maxLength} tokens; what is beyond is not read${way}`;
    const harmless = truncated < MANY_TRUNCATED * texts;
    return { message, data: { truncated, texts, max_length: maxLength }, harmless };
  },

  no_validation({ validationLabels }) {
    if (validationLabels.length > 0) return undefined;
    const message =
      'no row validates the training: there are no metrics, the last epoch is kept, scores are not calibrated';
    return { message, data: {} };
  },

  few_validation_rows({ validationLabels: { length: rows } }) {
    if (rows === 0 || rows >= FEW_VALIDATION_ROWS) return undefined;
    const error = 0.5 / Math.sqrt(rows);
    const message = `only ${rows} rows validate the training: the standard error of each figure may be ${error.toFixed(2)}`;
    return { message, data: { rows, standard_error: error } };
  },

  missing_validation_labels({ labels, validationLabels }) {
    const present = new Set(Array.from(validationLabels));
    if (present.size === 0 || present.size === labels.length) return undefined;
    const [only] = present;
    const what =
      present.size === 1
        ? `every validation row has the label ${JSON.stringify(labels[only!])}: the metrics say little`
        : `${labels.length - present.size} of ${labels.length} labels have no validation row`;
    return { message: what, data: { labels: labels.length, present: present.size } };
  },

  validation_rows_in_training({ repeats: { leaked }, validationLabels: { length: rows } }) {
    if (leaked === 0) return undefined;
    const message = `${leaked} of ${rows} validation rows have a text that is trained on: the metrics are too good`;
    return { message, data: { repeated: leaked, rows } };
  },

  contradicting_labels({ repeats: { contradicting } }) {
    const { texts, rows } = contradicting;
    if (texts === 0) return undefined;
    const message = `${texts === 1 ? '1 text has' : `${texts} texts have`} more than one label, in ${rows} rows: no classifier is right about all of them`;
    return { message, data: { texts, rows } };
  },

  similar_labels({ labelCounts }) {
    const groups = lookAlikes(labelCounts);
    if (groups.length === 0) return undefined;
    const more = groups.length - MAX_SHOWN_GROUPS;
    const message = groups.slice(0, MAX_SHOWN_GROUPS).map(describeAlike).join('; ');
    return {
      message: message + (more > 0 ? `; and ${more} more such` : ''),
      data: { groups: groups.length },
    };
  },
};

/** Events about a dataset for its job; `data.warning` names each. */
export function datasetWarnings(facts: DatasetFacts): TrainingEvent[] {
  return Object.entries(CHECKS).flatMap(([warning, find]) => {
    const found = find(facts);
    if (!found) return [];
    const { message, data, harmless } = found;
    return { level: harmless ? 'info' : 'warn', message, type: 'message', data: { warning, ...data } };
  });
}

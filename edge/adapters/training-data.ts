import type { CreateAdapter } from '../../shared/api/adapters.ts';
import { type Example, MAX_LABELS } from '../../shared/api/rows.ts';
import { AppError } from '../../shared/errors.ts';
import { areTooLong, MAX_LABELS_BYTES } from '../../shared/label-limits.ts';
import { lookOf, showLabel } from '../../shared/look-alike.ts';

/** The number of examples of each label. */
export type LabelCounts = Readonly<Record<string, number>>;

const MIN_LABELS = 2;
const MIN_EXAMPLES = 2;

/** Counts the labels of inline examples. */
export function countLabels(examples: readonly Example[]): LabelCounts {
  const counts = new Map<string, number>();
  for (const { label } of examples) counts.set(label, (counts.get(label) ?? 0) + 1);
  return Object.fromEntries(counts);
}

/** Refuses data with fewer than two labels, or a label with fewer than two examples: one to learn from and one to test by. */
export function checkTrainable(counts: LabelCounts, param: string): void {
  const labels = Object.keys(counts);
  const fault = (message: string) => new AppError('invalid_dataset', `${param}: ${message}`, { param });
  if (labels.length < MIN_LABELS) {
    throw fault(`there is only ${quoted(labels)}; a classifier needs at least ${MIN_LABELS}`);
  }
  if (labels.length > MAX_LABELS) throw fault(`${labels.length} labels; at most ${MAX_LABELS}`);
  if (areTooLong(labels)) throw fault(`labels of more than ${MAX_LABELS_BYTES} bytes together`);
  const scarce = labels.filter((label) => counts[label]! < MIN_EXAMPLES);
  if (scarce.length > 0) {
    throw fault(
      `every label needs at least ${MIN_EXAMPLES} examples; there is only one of ${quoted(scarce)}`,
    );
  }
}

/** Refuses validation labels that the training data lacks. */
export function checkValidation(training: LabelCounts, validation: LabelCounts): void {
  const unseen = Object.keys(validation).filter((label) => !Object.hasOwn(training, label));
  if (unseen.length === 0) return;
  const message = `validation_file: no training example has ${quoted(unseen)}${twinOf(unseen, training)}`;
  throw new AppError('invalid_dataset', message, { param: 'validation_file' });
}

/** Refuses class weights for labels that the data lacks. */
export function checkClassWeights(
  hyperparameters: CreateAdapter['hyperparameters'],
  training: LabelCounts,
): void {
  const weights = hyperparameters.class_weights;
  if (typeof weights === 'string') return;
  const unknown = Object.keys(weights).filter((label) => !Object.hasOwn(training, label));
  if (unknown.length === 0) return;
  const param = 'hyperparameters.class_weights';
  const message = `${param}: no training example has ${quoted(unknown)}${twinOf(unknown, training)}`;
  throw new AppError('invalid_request', message, { param });
}

/** Suggests the known label that the first look-alike among these was meant to be. */
function twinOf(unknown: readonly string[], known: LabelCounts): string {
  const byLook = new Map(Object.keys(known).map((label) => [lookOf(label), label]));
  const label = unknown.find((each) => byLook.has(lookOf(each)));
  if (label === undefined) return '';
  return `; ${showLabel(label)} looks like ${showLabel(byLook.get(lookOf(label))!)}, but is written otherwise`;
}

function quoted(labels: string[]): string {
  const shown = labels.slice(0, 5).map(showLabel);
  const more = labels.length - shown.length;
  return `the label${labels.length === 1 ? '' : 's'} ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

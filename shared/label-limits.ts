import { MAX_LABEL_CHARS, MAX_LABELS } from './api/rows.ts';

/*
 * Bounds that follow from the number of labels and their length together. They ensure that any adapter which a request may ask for can also
 * be stored, sent and shown once it is trained.
 */

const KIB = 1024;

/** Most bytes of all labels of an adapter together, as JSON: 1,000 of 256 ASCII characters fit, with quotes and commas. */
export const MAX_LABELS_BYTES = MAX_LABELS * (MAX_LABEL_CHARS + 6);

/** A label's part of `MAX_LABELS_BYTES`. */
export function labelBytes(label: string): number {
  return new TextEncoder().encode(JSON.stringify(label)).byteLength + 1;
}

/** True if labels are too long together for an adapter. */
export function areTooLong(labels: readonly string[]): boolean {
  return labels.reduce((sum, label) => sum + labelBytes(label), 0) > MAX_LABELS_BYTES;
}

/** Bytes of a label's precision, recall, F1 and support as JSON. */
const LABEL_METRICS_BYTES = 160;
/**
 * Bytes of a cell of the confusion matrix: a comma and at most three digits on average. A dataset has at most 22 million rows, while a
 * million cells of four digits each need a thousand million.
 */
const CELL_BYTES = 4;
const MAX_METRICS_BYTES =
  MAX_LABELS_BYTES + MAX_LABELS * LABEL_METRICS_BYTES + MAX_LABELS ** 2 * CELL_BYTES + KIB;

/** Most bytes of `weft.json`: the labels, the metrics, and the rest. */
export const MAX_WEFT_BYTES = MAX_LABELS_BYTES + MAX_METRICS_BYTES + 16 * KIB;

/** Most bytes of a confusion matrix in a database row, which holds 2 MB; a larger one is read from `weft.json`. */
export const MAX_STORED_MATRIX_BYTES = 256 * KIB;

/** Most bytes of the values chosen for `"auto"`: the labels, and again as keys of the class weights. */
const MAX_RESOLVED_BYTES = 2 * MAX_LABELS_BYTES + MAX_LABELS * 32 + 64 * KIB;

export const MAX_EVENTS_PER_CALL = 100;
export const MAX_EVENT_CHARS = 4000;
/** Most bytes of a call's events: escaping takes six bytes per character, and an event's numbers less than what is added. */
const MAX_EVENTS_BYTES = MAX_EVENTS_PER_CALL * (6 * MAX_EVENT_CHARS + 4 * KIB);

/** Most bytes of a node's heartbeat while it trains a job. */
export const MAX_HEARTBEAT_BYTES = MAX_RESOLVED_BYTES + MAX_EVENTS_BYTES + 64 * KIB;

/** Most bytes of a node's message that a job is done. */
export const MAX_COMPLETION_BYTES = MAX_METRICS_BYTES + MAX_RESOLVED_BYTES + MAX_EVENTS_BYTES + 64 * KIB;
